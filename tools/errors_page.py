"""Writes docs/errors.md from the catalog of refusals; with --check, compares."""

from __future__ import annotations

import sys
from pathlib import Path
from string import Formatter

from connectrpc.code import Code

from server.domain.errors import CATALOG, Reason
from server.faces.errors import ERROR_DOMAIN, SPOKEN

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

# gRPC's numbers: https://grpc.io/docs/guides/status-codes/
GRPC_NUMBERS = {
    Code.CANCELED: 1,
    Code.UNKNOWN: 2,
    Code.INVALID_ARGUMENT: 3,
    Code.DEADLINE_EXCEEDED: 4,
    Code.NOT_FOUND: 5,
    Code.ALREADY_EXISTS: 6,
    Code.PERMISSION_DENIED: 7,
    Code.RESOURCE_EXHAUSTED: 8,
    Code.FAILED_PRECONDITION: 9,
    Code.ABORTED: 10,
    Code.OUT_OF_RANGE: 11,
    Code.UNIMPLEMENTED: 12,
    Code.INTERNAL: 13,
    Code.UNAVAILABLE: 14,
    Code.DATA_LOSS: 15,
    Code.UNAUTHENTICATED: 16,
}

HEAD = f"""\
<!-- Written by tools/errors_page.py from server/domain/errors.py. Don't edit: change the catalog, run it again. -->

# Errors

Every refusal has a **reason**. Programs should go by it: it doesn't change, while the sentence may. It travels

- in Connect's JSON in `details`, as `google.rpc.ErrorInfo` of the domain `{ERROR_DOMAIN}`, beside `code` and
  `message`;
- in gRPC and gRPC-Web as the same message in `grpc-status-details-bin`, beside `grpc-status` and `grpc-message`;
- in the faces for Clerk, Koyeb and Logto in the shape that those services give their errors; the pages on moving from
  each say how.

A request that breaks rules has its fields at fault in `google.rpc.BadRequest`. Where waiting helps,
`google.rpc.RetryInfo` and the header `retry-after` say how long. Where sending the same request again can't help by
itself, the header `x-should-retry: false` says so. *Facts* stand in the sentence and in `ErrorInfo.metadata`. Every
answer has an `x-request-id`, under which the service's log has a line on it.

What the caller may not know of (an organization, a user, a link, an invitation) answers exactly as what doesn't exist.
"""
REPEATS = {
    True: "Sending the same request again may help.",
    False: "Sending the same request again doesn't help by itself.",
}


def page() -> str:
    """Give the page."""
    parts = [HEAD]
    for kind, spoken in SPOKEN.items():
        reasons = [reason for reason in CATALOG.values() if reason.kind is kind]
        if not reasons:
            continue
        status = f"HTTP {spoken.status.value} {spoken.status.phrase}"
        parts += [
            f"\n## `{spoken.code.value}`: {status}, gRPC {GRPC_NUMBERS[spoken.code]}\n\n{REPEATS[spoken.repeats]}\n\n",
            "| reason | sentence | facts |\n| --- | --- | --- |\n",
            *(_row(reason) for reason in reasons),
        ]
    return "".join(parts)


def _row(reason: Reason) -> str:
    facts = dict.fromkeys(name for _, name, _, _ in Formatter().parse(reason.sentence) if name)
    cells = (f"`{reason.name}`", reason.sentence.replace("|", "\\|"), ", ".join(f"`{fact}`" for fact in facts))
    return f"| {' | '.join(cells)} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; give the exit code."""
    written = page()
    if "--check" not in arguments:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(written, encoding="utf-8")
        print(f"wrote {PAGE.name} with {len(CATALOG)} reasons")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == written:
        return 0
    print(f"{PAGE} isn't what the catalog says; run: python tools/errors_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
