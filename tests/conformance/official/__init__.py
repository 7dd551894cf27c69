"""The Connect project's own suite against this server; see docs/conformance.md for how to get it.

python -m tests.conformance.official CHECKOUT
"""

from __future__ import annotations

GENERATED = "CONFORMANCE_GENERATED"
"""In this variable of the environment: the directory of the Python that is generated from the suite's contract."""

LIMIT = "CONFORMANCE_LIMIT"
"""The largest message that the suite wants to be read, in bytes; 0 for ours."""

BARE = "CONFORMANCE_BARE"
"""Anything: refusals are said without details, which the suite doesn't expect."""
