"""The invite link: one for each organization, replaced by the next.

The link's id is never kept. It is derived from a key outside the database and from what stands in the row, so that
an admin can be shown it again while a copied database admits nobody; the row has only a hash to look it up by.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from server.domain.record import record


@record
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
