"""The catalog of refusals: whole, and safe to show."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from server.domain import errors
from server.domain.errors import CATALOG, FieldViolation, Kind, Reason, ServiceError, invalid_field, invalid_request


def placeholders(reason: Reason) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(reason.sentence) if name]


@pytest.mark.parametrize("reason", CATALOG.values(), ids=lambda reason: reason.name)
def test_a_reason_is_named_as_its_constant_and_says_a_whole_sentence(reason: Reason) -> None:
    assert getattr(errors, reason.name) is reason
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{1,62}[A-Z0-9]", reason.name)
    assert reason.sentence[0].isupper() or reason.sentence.startswith(("{", "'{"))
    assert reason.sentence.endswith(".")
    assert "\n" not in reason.sentence
    assert isinstance(reason.kind, Kind)
    spoken = str(ServiceError(reason, {name: f"<{name}>" for name in placeholders(reason)}))
    assert all(f"<{name}>" in spoken for name in placeholders(reason))
    assert not re.search(r"[{}]", spoken)


def test_every_kind_of_refusal_is_used_by_some_reason() -> None:
    assert {reason.kind for reason in CATALOG.values()} == set(Kind)


def test_a_refused_request_names_every_field_at_fault() -> None:
    wrong = [FieldViolation("name", "is too short"), FieldViolation("filter.user_ids[2]", "must be a UUID")]
    refusal = invalid_request(iter(wrong))
    assert refusal.violations == tuple(wrong)
    assert str(refusal) == (
        "The request breaks the rules of the contract: name is too short; filter.user_ids[2] must be a UUID."
    )
    assert invalid_field("role", "must be given").violations == (FieldViolation("role", "must be given"),)


def test_what_a_caller_wrote_is_not_taken_for_a_placeholder() -> None:
    assert str(invalid_field("name", "{secret} {0} {fields.__class__}")).endswith(
        "name {secret} {0} {fields.__class__}."
    )
