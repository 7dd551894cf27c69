"""Backend keys: what a service of the operator's calls with when no person does."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.account import BackendKey, Scope
from server.ports import Clock, Ids, Store
from server.service.access_tokens import token_hash

KEY_PREFIX = "orgkey_"


@dataclass(frozen=True, slots=True)
class BackendKeys:
    """The operator's use cases of backend keys."""

    store: Store
    clock: Clock
    ids: Ids

    def issue(
        self,
        name: str,
        *,
        organization_ids: tuple[str, ...] = (),
        scopes: tuple[Scope, ...] = (),
        expires_at: datetime | None = None,
    ) -> tuple[str, BackendKey]:
        """Make a key and give its secret, here and never again. No organizations or no scopes means all."""
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        key = BackendKey(
            self.ids(), name, organization_ids, scopes or tuple(Scope), self.clock(), expires_at, None, None
        )
        with self.store.transaction() as tx:
            tx.add_backend_key(key, token_hash(secret))
        return secret, key

    def list_all(self) -> Sequence[BackendKey]:
        """List the keys that aren't revoked."""
        with self.store.snapshot() as tx:
            return tx.backend_keys()

    def revoke(self, id_or_secret: str) -> bool:
        """Revoke a key by its id or the secret itself; tell whether there was one to revoke."""
        with self.store.transaction() as tx:
            found = tx.backend_key(token_hash(id_or_secret)) if id_or_secret.startswith(KEY_PREFIX) else None
            return tx.revoke_backend_key(found.id if found else id_or_secret, self.clock())
