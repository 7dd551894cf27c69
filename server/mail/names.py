"""Names that people chose, made harmless for a mail that we sign: they are text, on a line, and lead nowhere."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_LENGTH = 80

_JOINERS = "\u200c\u200d"  # the only invisible characters that scripts and emoji need
_LINK_LIKE = re.compile(
    # A dot with something behind it, except in "2.0", "(Inc.)" and "wait...".
    r"(?:(?<!\d)[.․。．｡]|[.․。．｡](?!\d))(?=[^\s.․。．｡,;:!?'\"’”»)\]}])"
    # What stands between a scheme and the rest, except in "10:30"; and the beginning of \\host\share.
    r"|(?:(?<!\d)[:：]|[:：](?!\d))(?=\S)|[/\\](?=[/\\])"
)


def harmless(name: str) -> str:
    """Give a name as it may stand in a mail: one line, of 80 characters at most, that no mail client makes a link of.

    Mail clients make links of what looks like one in plain text too, so `evil.com` as the name of an organization
    would be a link in a mail that carries the operator's name. A blank after the dot (and after a scheme's colon)
    breaks that: `evil. com`. Invisible characters would keep the looks, yet some clients drop them before they look
    for links, and spam filters take them for the tricks that they are.
    """
    kept = "".join(_kept(char) for char in unicodedata.normalize("NFC", name))
    line = " ".join(_LINK_LIKE.sub(r"\g<0> ", kept).split())
    return line if len(line) <= MAX_NAME_LENGTH else line[: MAX_NAME_LENGTH - 1].rstrip() + "…"


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    # Marks of direction, soft hyphens and the like can't be seen, and change what is.
    return "" if category in ("Cf", "Cs") and char not in _JOINERS else char
