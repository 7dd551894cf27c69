"""Who may what: every operation of every face, and what each kind of caller is answered.

The table itself is table.txt. The tests of this folder try every cell of it, and docs/who-may-what.md is printed from
it (`tools/rights_page.py`). An operation that isn't in the table fails the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.domain import errors
from server.domain.account import Scope
from server.domain.errors import Reason

CALLERS: Mapping[str, str] = {
    "nobody": "no credentials",
    "wrong": "a token that opens nothing",
    "newcomer": "a JWT of a trusted issuer, of somebody who has no account yet and gets one by it; in no organization",
    "stranger": "a token of an account that isn't a member of the organization, and is an admin of others",
    "member": "a token of a member's account, which is an admin of other organizations",
    "admin": "a token of an admin's account, or an admin's session in a browser",
    "reader": "a token of an admin's account that may only read",
    "member token": "a token of a member's user in this organization",
    "admin token": "a token of an admin's user in this organization",
    "elsewhere": "a token of the admin's user in another organization",
    "key": "a backend key that reaches every organization, with all scopes",
    "key elsewhere": "a backend key that reaches another organization, with all scopes",
}
"""The columns, in order. What a token of an account may, a JWT of the same person may."""

WRONG = (
    "what is no token at all",
    "a token that nobody has",
    "a backend key that nobody has",
    "an account's token that has expired",
    "an account's token that was revoked",
    "a user's token that has expired",
    "a user's token that was revoked",
    "a token of a user who left the organization",
    "a token of a user of an organization that was deleted",
    "a backend key that has expired",
    "a backend key that was revoked",
    "the secret of a session, which counts in its cookie alone",
    "a JWT that has expired",
    "a JWT that isn't valid yet",
    "a JWT for another audience",
    "a JWT of another issuer",
    "a JWT signed by another",
    "a JWT without a signature",
    "a JWT of nobody",
)
"""Tokens that open nothing. All are answered alike, to the byte."""

WORDS: Mapping[str, Reason | None] = {
    "yes": None,
    "who": errors.CREDENTIALS_MISSING,
    "bad": errors.CREDENTIALS_INVALID,
    "admin": errors.ADMIN_REQUIRED,
    "-org": errors.ORGANIZATION_NOT_FOUND,
    "-user": errors.USER_NOT_FOUND,
    "-inv": errors.INVITATION_NOT_FOUND,
    "-tok": errors.ACCESS_TOKEN_NOT_FOUND,
    "acct": errors.ACCOUNT_TOKEN_REQUIRED,
    "ro": errors.TOKEN_READ_ONLY,
    "person": errors.PERSON_REQUIRED,
    "key": errors.BACKEND_KEY_REQUIRED,
    "scope": errors.SCOPE_MISSING,
    "many": errors.ORGANIZATION_AMBIGUOUS,
    "own": errors.NOT_YOURS,
    "other": errors.INVITATION_WRONG_ACCOUNT,
    "page": errors.SAME_ORIGIN_REQUIRED,
}
"""What the cells mean: `yes` is answered, others are refused with a reason of the catalog."""


@dataclass(frozen=True)
class Row:
    """An operation, what each caller is answered (None: what was asked for), and the scopes that a key needs for it.

    An RPC is named by itself, an operation of a plain HTTP face after the face. What stands behind that tells two ways
    of one operation apart: `by id`, or `of another`, which is about a user or an invitation of another organization.
    """

    face: str
    operation: str
    answers: Mapping[str, Reason | None]
    scopes: tuple[Scope, ...]


_TABLE = Path(__file__).with_name("table.txt")
_NAME_WIDTH = 46


def _rows() -> tuple[Row, ...]:
    rows, face = [], ""
    for line in filter(None, _TABLE.read_text(encoding="utf-8").splitlines()[1:]):
        if line.startswith("# "):
            face = line[2:]
            continue
        *words, needed = line[_NAME_WIDTH:].split()
        answers = dict(zip(CALLERS, (WORDS[word] for word in words), strict=True))
        scopes = () if needed == "-" else tuple(Scope(scope) for scope in needed.split(","))
        rows.append(Row(face, line[:_NAME_WIDTH].strip(), answers, scopes))
    return tuple(rows)


ROWS = _rows()

SECRET_HELD = frozenset(
    {
        "JoinOrganization",
        "GetOrganizationInviteSummary",
        "PreviewInvitation",
        "AcceptInvitation",
        "DeclineInvitation",
    }
)
"""Operations that tell of the organization to whoever holds the link's id or the mailed token."""

ADDRESSED = frozenset(
    {
        "PreviewInvitation by id",
        "AcceptInvitation by id",
        "DeclineInvitation by id",
        "koyeb get_user_organization_invitation",
        "koyeb accept_organization_invitation",
        "koyeb decline_organization_invitation",
    }
)
"""Operations about an invitation of the stranger's, who may then know of the organization."""
