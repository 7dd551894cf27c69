"""Sealing by AES-256-GCM, with keys derived from the operator's (`ports.Sealing`)."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.domain.errors import ServiceError
from server.domain.secrets import SecretKeys

_NONCE_BYTES = 12
_KEY_ID_LENGTH = 16


class KeySealing:
    """Seals with the newest key, and opens with whichever key sealed.

    A sealed content is the key's id, a nonce, and the ciphertext; each purpose has a key of its own.
    """

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys

    def seal(self, purpose: str, content: bytes) -> bytes:
        """See `ports.Sealing`."""
        key_id, nonce = self._keys.current_id, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._keys.derive(key_id, "seal", purpose)).encrypt(nonce, content, key_id.encode())
        return key_id.encode() + nonce + sealed

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """See `ports.Sealing`."""
        key_id, rest = sealed[:_KEY_ID_LENGTH], sealed[_KEY_ID_LENGTH:]
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            key = self._keys.derive(key_id.decode("ascii"), "seal", purpose)
            return AESGCM(key).decrypt(nonce, ciphertext, key_id)
        except (ServiceError, InvalidTag, UnicodeError) as error:
            raise ValueError("sealed for another purpose, or with a key that is gone") from error
