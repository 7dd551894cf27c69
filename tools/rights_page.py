"""Writes docs/who-may-what.md from the table that tests/rights tries; with --check, compares."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "who-may-what.md"

sys.path.insert(0, str(ROOT))

from tests.rights.table import CALLERS, ROWS, WRONG, Row  # noqa: E402

HEAD = """\
<!-- Written by tools/rights_page.py from tests/rights/table.txt. Don't edit: change the table, run it again. -->

# Who may what

Every operation of every face, and what each kind of caller is answered: ✓ is what was asked for, anything else a reason
from [errors.md](errors.md). The tests in `tests/rights` send each of these requests, over Connect, gRPC and gRPC-Web
where there is an RPC, in one process and to real servers on SQLite and PostgreSQL; an operation that isn't in this
table fails them. Beside them there are pages and their files, the way back from a sign-in provider, health
(`/healthz`, `/readyz`, `grpc.health.v1.Health`) and server reflection: they answer everybody, and tell of nobody.

What a caller may not know of answers exactly as what doesn't exist; only an invitation's id tells whoever holds it that
the invitation is for another address. A role that changes and a member who leaves count from the next call on at every
server, a token that is revoked within a second.

`of another` is a request about a user or an invitation of another organization, of which the stranger is the admin and
admin and member are members: beside this one where the request names an organization.

Being an admin counts in that organization alone: the stranger and the member below are admins of others, with members,
a link and an invitation there, and are answered so with a token of their account, a JWT and a session.

A JWT of a trusted issuer may what a token of the same person's account may, and so may a session in an RPC that a page
of ours sends, in each protocol alike. A session's cookie counts for nothing in what other pages send, beside a token,
in the plain HTTP faces, and once the session has ended. Of this, real servers are asked a part.

Tokens that open nothing are all answered with the same bytes:

%s

The callers, each calling about one organization:

"""


def page() -> str:
    """Give the page."""
    parts = [
        HEAD % "\n".join(f"- {kind}" for kind in WRONG),
        *(f"- **{name}**: {meaning}\n" for name, meaning in CALLERS.items()),
    ]
    for face, rows in groupby(ROWS, key=lambda row: row.face):
        parts += [
            f"\n## {face}\n\n| operation | {' | '.join(CALLERS)} | scopes a key needs |\n",
            f"|{' --- |' * (len(CALLERS) + 2)}\n",
            *(_line(row) for row in rows),
        ]
    return "".join(parts)


def _line(row: Row) -> str:
    prefix = f"{row.face.lower()} "
    answers = ("✓" if reason is None else f"`{reason.name}`" for reason in row.answers.values())
    scopes = ", ".join(f"`{scope.value}`" for scope in row.scopes) or "–"
    return f"| {row.operation.removeprefix(prefix)} | {' | '.join(answers)} | {scopes} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; give the exit code."""
    if "--check" not in arguments:
        PAGE.write_text(page(), encoding="utf-8")
        print(f"wrote {PAGE.name} with {len(ROWS)} operations")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE} isn't what the table says; run: python tools/rights_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
