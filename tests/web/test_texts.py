"""The texts of the pages, in every language that the mails have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.domain.errors import CATALOG
from server.mail.languages import LANGUAGES
from tests.running import ROOT

TEXTS = ROOT / "server/web/app/texts"
PARTS = sorted(path.name for path in TEXTS.iterdir())

OURS = {"UNREACHABLE"}
"""What the pages say of themselves, where the service says nothing."""

NOT_MET = {
    # The pages send what the contract allows, in its protocol.
    "MALFORMED_REQUEST",
    "PROTOCOL_ERROR",
    "ONE_MESSAGE_REQUIRED",
    "ENCODING_UNSUPPORTED",
    "SERVICE_UNKNOWN",
    "IDEMPOTENCY_KEY_INVALID",
    # A session is that of an account, and may write.
    "TOKEN_READ_ONLY",
    "ACCOUNT_TOKEN_REQUIRED",
    "ORGANIZATION_AMBIGUOUS",
    # Backend keys, and what only they do.
    "PERSON_REQUIRED",
    "BACKEND_KEY_REQUIRED",
    "SCOPE_MISSING",
    "INVITER_NOT_MEMBER",
    "ROLE_IN_USE",
    "ACCOUNT_NOT_FOUND",
}
"""Reasons that nobody meets on a page."""


def _holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def _texts(path: Path) -> list[tuple[str, str]]:
    """The names and texts of a file, in their order."""
    found = re.findall(r'(\w+):\s*"((?:[^"\\]|\\.)*)"', path.read_text())
    # Not each language has a form for one.
    return [(name, text) for name, text in found if name != "one"]


@pytest.mark.parametrize("part", PARTS)
def test_each_language_says_the_same_with_the_same_facts(part: str) -> None:
    english = _texts(TEXTS / part / "en.ts")
    assert english
    for language in LANGUAGES:
        others = _texts(TEXTS / part / f"{language.tag}.ts")
        assert [name for name, _ in others] == [name for name, _ in english], language.tag
        for (name, ours), (_, theirs) in zip(english, others, strict=True):
            assert _holes(theirs) == _holes(ours), (language.tag, name)
            assert theirs.strip() == theirs, (language.tag, name)
            assert theirs, (language.tag, name)


def test_what_the_service_refuses_is_said_in_each_language() -> None:
    said = dict(_texts(TEXTS / "common/en.ts"))
    for name, reason in CATALOG.items():
        assert (name in said) != (name in NOT_MET), name
        assert _holes(said.get(name, "")) <= _holes(reason.sentence), name
    assert {name for name in said if name.isupper()} == CATALOG.keys() - NOT_MET | OURS
