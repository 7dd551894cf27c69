"""An issuer in process, whose key signs whatever a target wants signed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.example.com"
_PRIVATE = ec.derive_private_key(0x1D5EA5E, ec.SECP256R1())


def now() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


def jwks() -> bytes:
    numbers = _PRIVATE.public_key().public_numbers()
    x, y = (_packed(number.to_bytes(32, "big")).decode() for number in (numbers.x, numbers.y))
    return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y}]}).encode()


def signed(header: bytes, claims: bytes) -> bytes:
    """Give a JWT with this header and these claims, JSON or not."""
    said = _packed(header) + b"." + _packed(claims)
    r, s = decode_dss_signature(_PRIVATE.sign(said, ec.ECDSA(hashes.SHA256())))
    return said + b"." + _packed(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _packed(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
