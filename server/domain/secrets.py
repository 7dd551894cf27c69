"""Secrets that open doors, derived when they are needed from a key outside the database.

What stands in a row (an id, a generation) and a key together give the secret; the row keeps a hash to look it up by,
so that a copied database admits nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Sequence

from server.domain.errors import INVITE_KEY_UNAVAILABLE, ServiceError

INVITATION_TOKEN_PREFIX = "orgsvcinv_"  # noqa: S105 # what tokens begin with, not one


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

    def invitation_token(self, invitation_id: str, generation: int, key_id: str) -> str:
        """Give the token that is mailed: 256 bits that nobody guesses without the key."""
        secret = self.derive(key_id, "invitation", invitation_id, str(generation))
        return INVITATION_TOKEN_PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")

    def sign_in_code(self, code_id: str, key_id: str) -> str:
        """Give the eight digits that are mailed to sign in with."""
        secret = self.derive(key_id, "sign-in-code", code_id)
        return f"{int.from_bytes(secret, 'big') % 10**8:08}"
