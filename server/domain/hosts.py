"""Which hosts are this very machine: nobody stands on the way there."""

from __future__ import annotations

import re

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)


def is_this_machine(host: str) -> bool:
    """Tell whether a host is this machine, as a URL's `hostname` gives it: in lower case, without brackets and port."""
    return _LOOPBACK.fullmatch(host) is not None
