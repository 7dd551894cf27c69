"""The invite link: one for each organization, replaced by the next.

The link's id is never kept. It is derived from a key outside the database and from what stands in the row, so that
an admin can be shown it again while a copied database admits nobody; the row has only a hash to look it up by.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.errors import INVITE_KEY_UNAVAILABLE, ServiceError


@dataclass(frozen=True, slots=True)
class InviteLink:
    """The row of an organization's one live link. Every new link has a fresh `id`, which is not the link's secret."""

    id: str
    organization_id: str
    key_id: str
    lookup_hash: bytes
    created_by: str
    created_at: datetime


def lookup_hash(invite_id: str) -> bytes:
    """Give what a link's id is looked up by: SHA-256, enough for an id of 122 unguessable bits."""
    return hashlib.sha256(b"invite-link\0" + invite_id.lower().encode()).digest()


class SecretKeys:
    """The operator's keys, the newest first: new secrets come from the first, old ones stay readable by the others."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < 32 for key in keys):
            message = "give at least one key, each of at least 32 bytes"
            raise ValueError(message)
        self._by_id = {hashlib.sha256(b"key-id\0" + key).hexdigest()[:16]: key for key in keys}
        self.current_id = next(iter(self._by_id))

    def derive(self, key_id: str, purpose: str, *parts: str) -> bytes:
        """Give 32 secret bytes for a purpose and parts; `INVITE_KEY_UNAVAILABLE` when the key is gone."""
        key = self._by_id.get(key_id)
        if key is None:
            raise ServiceError(INVITE_KEY_UNAVAILABLE)
        return hmac.digest(key, "\0".join((purpose, *parts)).encode(), "sha256")

    def invite_id(self, link_id: str, key_id: str) -> str:
        """Give what opens a link: UUID text of version 4 with 122 bits that nobody guesses without the key."""
        secret = self.derive(key_id, "invite-link", link_id)
        return str(uuid.UUID(bytes=secret[:16], version=4))
