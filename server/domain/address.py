"""E-mail addresses and domains: how they are compared.

Comparing is ours and not the database's collation, so that every store agrees. An address is kept as it was
written and compared by its key.
"""

from __future__ import annotations

import re
import unicodedata

from server.domain.errors import ADDRESS_INVALID, ServiceError
from server.domain.text import is_plain_line

PUBLIC_EMAIL_DOMAINS = frozenset(
    [
        "163.com",
        "aol.com",
        "foxmail.com",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "t-online.de",
        "tutanota.com",
        "web.de",
        "yahoo.com",
        "yandex.com",
        "yandex.ru",
        "zoho.com",
    ]
)
"""Domains at which anybody gets an address, so that sharing one says nothing about people."""


def fold(text: str) -> str:
    """Give the key by which names and addresses are compared and searched: NFKC, case folded, trimmed."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def _lowered(text: str) -> str:
    if text.isascii():
        return text.lower().strip()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).strip()


def domain_key(domain: str) -> str:
    """Give the key of a domain: ASCII, lower case, without a final dot.

    Labels in other letters are encoded as IDNA 2008 does it. The standard library's codec and case folding would
    make `faß.de` and `fass.de` one, which anybody can register apart.
    """
    key = _lowered(domain).replace("\u3002", ".").rstrip(". ")
    if key.isascii():
        return key
    labels = key.split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)


def _parts(address: str) -> tuple[str, str, str]:
    return unicodedata.normalize("NFKC", address).rpartition("@")


def address_key(address: str) -> str:
    """Give the key of an address. Plus tags and dots stay: only the mailbox's owner knows what they mean."""
    local, at, domain = _parts(address)
    # Lower case and not folded: folding makes ß and ss one, which may be two people's.
    return f"{_lowered(local)}@{domain_key(domain)}" if at else fold(address)


def address_domain(address: str) -> str:
    """Give the key of the address's domain, or an empty string where there is none or more than one @."""
    local, at, domain = _parts(address)
    return domain_key(domain) if at and "@" not in local else ""


def is_public_email_domain(domain: str) -> bool:
    """Tell whether anybody can have an address at this domain (given as a key)."""
    return domain in PUBLIC_EMAIL_DOMAINS


MAX_ADDRESS_LENGTH = 254
_LOCAL_PART = re.compile(r"[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+(\.[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def is_address(text: str) -> bool:
    """Tell whether a mail can be addressed to this: a dot-atom (Unicode too), @, and a domain of two labels or more.

    Quoted local parts and addresses at a bare IP address or host are refused: they are mistakes or attacks.
    """
    local, at, domain = text.rpartition("@")
    return (
        bool(at)
        and len(text) <= MAX_ADDRESS_LENGTH
        and is_plain_line(text)
        # Mail software would decode it, to whatever it hides.
        and "=?" not in text
        and len(local.encode()) <= 64
        and _LOCAL_PART.fullmatch(local) is not None
        and not any(char.isspace() for char in domain)
        and _DOMAIN.fullmatch(address_domain(text)) is not None
    )


def require_address(text: str) -> str:
    """Give the address, trimmed; `ADDRESS_INVALID` when it is none."""
    address = text.strip()
    if not is_address(address):
        raise ServiceError(ADDRESS_INVALID, {"email": address[:MAX_ADDRESS_LENGTH]})
    return address
