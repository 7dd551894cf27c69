"""Where a person may be sent after accepting: only to origins that the operator names."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from server.domain.text import is_plain_line


def is_allowed_redirect(url: str, origins: Sequence[str]) -> bool:
    """Tell whether the URL's scheme, host and port are exactly one of the origins (`https://host[:port]`).

    What browsers and parsers read differently is refused: backslashes, user info, control characters, blanks.
    """
    if len(url) > 2048 or "\\" in url or any(char.isspace() for char in url) or not is_plain_line(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.password is not None:
        return False
    authority = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{authority}" + (f":{port}" if port is not None else "")
    return origin in origins and parts.netloc == origin.removeprefix(f"{parts.scheme}://")
