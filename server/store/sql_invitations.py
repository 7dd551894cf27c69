"""Invitations and named roles in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.domain.address import fold
from server.domain.invitation import DeliveryState, Invitation, InvitationStatus, NamedRole
from server.domain.organization import Role
from server.ports import InvitationFilter, InvitationOrder, InvitationPage
from server.store.sql_base import (
    Reads,
    Row,
    Writes,
    from_json,
    from_micros,
    in_list,
    like,
    made,
    micros_or_none,
    moment_or_none,
    to_json,
    to_micros,
)

_NAMES = (
    "id",
    "organization_id",
    "email",
    "role",
    "named_roles",
    "status",
    "inviter_account_id",
    "inviter_name",
    "public_metadata",
    "private_metadata",
    "redirect_url",
    "locale",
    "delivery_state",
    "delivery_error",
    "generation",
    "key_id",
    "token_hash",
    "created_at",
    "updated_at",
    "expires_at",
    "responded_at",
    "accepted_account_id",
)
_COLUMNS = ", ".join(f"i.{name}" for name in _NAMES)
_WIDTH = len(_NAMES)
_WRITTEN = (*_NAMES, "email_key", "inviter_key")
_PENDING = (
    f"SELECT {_COLUMNS} FROM invitations i WHERE i.organization_id = :organization AND i.email_key = :email"
    " AND i.status = 'pending'"
)
_ADD = (
    f"INSERT INTO invitations ({', '.join(_WRITTEN)}) VALUES ({', '.join(f':{name}' for name in _WRITTEN)})"
    " ON CONFLICT (organization_id, email_key) WHERE status = 'pending' DO NOTHING"
)
_ORDER_COLUMNS = {"created_at": "i.created_at", "expires_at": "i.expires_at", "email": "i.email_key"}


def _invitation(row: Row) -> Invitation:
    value = dict(zip(_NAMES, row, strict=False))
    return Invitation(
        id=value["id"],
        organization_id=value["organization_id"],
        email=value["email"],
        role=Role(value["role"]),
        named_roles=tuple(value["named_roles"].split()),
        stored_status=InvitationStatus(value["status"]),
        inviter_account_id=value["inviter_account_id"],
        inviter_name=value["inviter_name"],
        public_metadata=from_json(value["public_metadata"]),
        private_metadata=from_json(value["private_metadata"]),
        redirect_url=value["redirect_url"],
        locale=value["locale"],
        delivery_state=DeliveryState(value["delivery_state"]),
        delivery_error=value["delivery_error"],
        generation=value["generation"],
        key_id=value["key_id"],
        token_hash=bytes(value["token_hash"]),
        created_at=from_micros(value["created_at"]),
        updated_at=from_micros(value["updated_at"]),
        expires_at=from_micros(value["expires_at"]),
        responded_at=moment_or_none(value["responded_at"]),
        accepted_account_id=value["accepted_account_id"],
    )


def _parameters(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "organization_id": invitation.organization_id,
        "email": invitation.email,
        "email_key": invitation.email_key,
        "role": invitation.role,
        "named_roles": " ".join(invitation.named_roles),
        "status": invitation.stored_status,
        "inviter_account_id": invitation.inviter_account_id,
        "inviter_name": invitation.inviter_name,
        "inviter_key": fold(invitation.inviter_name),
        "public_metadata": to_json(invitation.public_metadata),
        "private_metadata": to_json(invitation.private_metadata),
        "redirect_url": invitation.redirect_url,
        "locale": invitation.locale,
        "delivery_state": invitation.delivery_state,
        "delivery_error": invitation.delivery_error,
        "generation": invitation.generation,
        "key_id": invitation.key_id,
        "token_hash": invitation.token_hash,
        "created_at": to_micros(invitation.created_at),
        "updated_at": to_micros(invitation.updated_at),
        "expires_at": to_micros(invitation.expires_at),
        "responded_at": micros_or_none(invitation.responded_at),
        "accepted_account_id": invitation.accepted_account_id,
    }


def _role(row: Row) -> NamedRole:
    return NamedRole(row[0], row[1], row[2], row[3], Role(row[4]))


class InvitationReads(Reads):
    """See `ports.Snapshot`."""

    def invitation(self, invitation_id: str) -> Invitation | None:
        row = self._one(f"SELECT {_COLUMNS} FROM invitations i WHERE i.id = :id", id=invitation_id)
        return made(_invitation, row)

    def invitation_by_token(self, token_hash: bytes) -> Invitation | None:
        row = self._one(f"SELECT {_COLUMNS} FROM invitations i WHERE i.token_hash = :hash", hash=token_hash)
        return made(_invitation, row)

    def pending_invitation(self, organization_id: str, email_key: str) -> Invitation | None:
        row = self._one(
            _PENDING,
            organization=organization_id,
            email=email_key,
        )
        return made(_invitation, row)

    def invitations(
        self,
        invitation_filter: InvitationFilter,
        order: InvitationOrder,
        after: tuple[str | int, str] | None = None,
        *,
        limit: int,
        offset: int = 0,
    ) -> InvitationPage:
        where, parameters = _conditions(invitation_filter)
        column = _ORDER_COLUMNS[order.by]
        direction, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
        if after is not None:
            where += f" AND ({column}, i.id) {beyond} (:after_key, :after_id)"
            parameters |= {"after_key": after[0], "after_id": after[1]}
        rows = self._all(
            f"SELECT {_COLUMNS}, {column} FROM invitations i WHERE {where}"
            f" ORDER BY {column} {direction}, i.id {direction} LIMIT :limit OFFSET :offset",
            {**parameters, "limit": limit + 1, "offset": offset},
        )
        page = rows[:limit]
        more = len(rows) > limit and page
        return InvitationPage(
            tuple(_invitation(row) for row in page), (page[-1][_WIDTH], page[-1][0]) if more else None
        )

    def count_invitations(self, invitation_filter: InvitationFilter) -> int:
        where, parameters = _conditions(invitation_filter)
        return int(self._all(f"SELECT count(*) FROM invitations i WHERE {where}", parameters)[0][0])

    def named_roles(self) -> Sequence[NamedRole]:
        rows = self._all("SELECT id, key, name, description, rights FROM named_roles ORDER BY name", {})
        return [_role(row) for row in rows]


def _conditions(wanted: InvitationFilter) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {}
    where = ["1 = 1"]
    lists: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("i.organization_id", "organization", wanted.organization_ids),
        ("i.delivery_state", "delivery", wanted.delivery_states),
    )
    where += [in_list(column, name, values, parameters) for column, name, values in lists if values]
    if wanted.statuses:
        where.append(_status_condition(wanted, parameters))
    equal = {"email_key": wanted.email_key, "inviter_account_id": wanted.inviter_account_id}
    for name, value in equal.items():
        if value:
            where.append(f"i.{name} = :{name}")
            parameters[name] = value
    if wanted.email_search:
        where.append("i.email_key LIKE :email_search ESCAPE '\\'")
        parameters["email_search"] = like(wanted.email_search)
    if wanted.search:
        where.append("(i.email_key LIKE :search ESCAPE '\\' OR i.inviter_key LIKE :search ESCAPE '\\')")
        parameters["search"] = like(wanted.search)
    for name, comparison, moment in (
        ("created_from", ">=", wanted.created_from),
        ("created_before", "<", wanted.created_before),
    ):
        if moment is not None:
            where.append(f"i.created_at {comparison} :{name}")
            parameters[name] = to_micros(moment)
    return " AND ".join(where), parameters


def _status_condition(wanted: InvitationFilter, parameters: dict[str, Any]) -> str:
    """Say which rows have one of the statuses now: what is stored as pending may have expired."""
    either = []
    stored = [s for s in wanted.statuses if s is not InvitationStatus.PENDING]
    if stored:
        either.append(in_list("i.status", "status", stored, parameters))
    pending = InvitationStatus.PENDING in wanted.statuses
    expired = InvitationStatus.EXPIRED in wanted.statuses
    if pending and expired:
        either.append("i.status = 'pending'")
    elif pending or expired:
        either.append(f"(i.status = 'pending' AND i.expires_at {'>' if pending else '<='} :now)")
        parameters["now"] = to_micros(wanted.now)
    return f"({' OR '.join(either)})"


class InvitationWrites(Writes, InvitationReads):
    """See `ports.Transaction`."""

    def add_invitation(self, invitation: Invitation) -> bool:
        added = self._write(_ADD, **_parameters(invitation))
        return added == 1

    def update_invitation(self, invitation: Invitation, was: InvitationStatus) -> bool:
        if invitation.stored_status is InvitationStatus.PENDING is not was:
            other = self.pending_invitation(invitation.organization_id, invitation.email_key)
            if other is not None and other.id != invitation.id:
                return False
        parameters = _parameters(invitation)
        assignments = ", ".join(f"{name} = :{name}" for name in parameters if name not in ("id", "organization_id"))
        updated = self._write(
            f"UPDATE invitations SET {assignments} WHERE id = :id AND status = :was", **parameters, was=was
        )
        return updated == 1

    def delete_invitation(self, invitation_id: str) -> bool:
        return self._write("DELETE FROM invitations WHERE id = :id", id=invitation_id) == 1

    def set_delivery(self, invitation_id: str, generation: int, state: DeliveryState, error: str) -> None:
        self._write(
            "UPDATE invitations SET delivery_state = :state, delivery_error = :error"
            " WHERE id = :id AND generation = :generation",
            id=invitation_id,
            generation=generation,
            state=state,
            error=error,
        )

    def add_named_role(self, role: NamedRole) -> bool:
        added = self._write(
            "INSERT INTO named_roles (id, key, name, description, rights)"
            " VALUES (:id, :key, :name, :description, :rights) ON CONFLICT DO NOTHING",
            id=role.id,
            key=role.key,
            name=role.name,
            description=role.description,
            rights=role.rights,
        )
        return added == 1

    def delete_named_role(self, role_id: str) -> bool:
        return self._write("DELETE FROM named_roles WHERE id = :id", id=role_id) == 1
