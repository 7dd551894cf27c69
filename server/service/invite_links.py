"""The invite link of an organization: what one can ask."""

from __future__ import annotations

from dataclasses import dataclass

from server.domain.errors import INVITE_NOT_FOUND, NO_LIVE_INVITE, ServiceError, WrongSecretError
from server.domain.invite_link import InviteLink, lookup_hash
from server.domain.organization import Organization
from server.domain.secrets import SecretKeys
from server.ports import Clock, Ids, Store
from server.service.call import Call, caller_admin, writing


@dataclass(frozen=True, slots=True)
class InviteLinks:
    """The use cases of invite links. An invite id is the secret that opens the link; only admins are shown it."""

    store: Store
    clock: Clock
    ids: Ids
    keys: SecretKeys

    def create(self, call: Call, organization_id: str) -> str:
        """Make a new link and give its invite id; the link before is dead when this returns."""
        with writing(self.store, call) as tx:
            tx.hold_organization(organization_id)
            admin = caller_admin(tx, call, organization_id)
            link_id = self.ids()
            invite_id = self.keys.invite_id(link_id, self.keys.current_id)
            tx.put_invite_link(
                InviteLink(
                    link_id,
                    organization_id,
                    self.keys.current_id,
                    lookup_hash(invite_id),
                    admin.user_id,
                    self.clock(),
                )
            )
        return invite_id

    def disable(self, call: Call, organization_id: str) -> None:
        """Turn the live link off; it is dead when this returns. Without one nothing happens."""
        with writing(self.store, call) as tx:
            tx.hold_organization(organization_id)
            caller_admin(tx, call, organization_id)
            tx.delete_invite_link(organization_id)

    def get(self, call: Call, organization_id: str) -> str:
        """Give the live link's invite id; `NO_LIVE_INVITE` when there is none."""
        with self.store.snapshot(call.deadline) as tx:
            caller_admin(tx, call, organization_id)
            link = tx.invite_link(organization_id)
        if link is None:
            raise ServiceError(NO_LIVE_INVITE)
        return self.keys.invite_id(link.id, link.key_id)

    def summary(self, call: Call, invite_id: str) -> Organization:
        """Give what a link leads to, to whoever holds it, signed in or not."""
        with self.store.look(call.deadline) as tx:
            organization = tx.organization_by_invite(lookup_hash(invite_id))
        if organization is None:
            raise WrongSecretError(INVITE_NOT_FOUND, guess=hash(invite_id))
        return organization
