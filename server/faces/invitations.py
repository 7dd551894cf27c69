"""Our own contract, `invitations.v1`, over Connect, gRPC and gRPC-Web. It can express all that there is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from connectrpc.request import RequestContext
from protobuf import Oneof
from protobuf.wkt import Duration, Struct, Timestamp

from gen.invitations.v1 import invitation_pb as pb
from gen.invitations.v1.invitation_connect import InvitationServiceSync
from server.domain.address import address_key, fold
from server.domain.errors import ServiceError, invalid_request
from server.domain.invitation import DeliveryState, IfPending, Invitation, InvitationStatus, masked_address
from server.domain.organization import Member
from server.faces.connect import current_call, rule_violations, timestamp, timestamp_or_none
from server.ports import Clock, InvitationFilter, InvitationOrder
from server.service.invitations import Invitations, InvitationView, Invited, NewInvitation
from server.service.roles import Roles

Context = RequestContext[Any, Any]

_STATUSES = {status: pb.InvitationStatus[status.name] for status in InvitationStatus}
_STATUSES_READ = {wire: status for status, wire in _STATUSES.items()}
_DELIVERY = {state: pb.DeliveryState[state.name] for state in DeliveryState}
_DELIVERY_READ = {wire: state for state, wire in _DELIVERY.items()}
_IF_PENDING = {
    pb.IfPending.UNSPECIFIED: IfPending.REFUSE,
    pb.IfPending.REFUSE: IfPending.REFUSE,
    pb.IfPending.RENEW: IfPending.RENEW,
    pb.IfPending.REPLACE: IfPending.REPLACE,
}
_ORDER = {
    pb.ListInvitationsRequest.OrderBy.UNSPECIFIED: "created_at",
    pb.ListInvitationsRequest.OrderBy.CREATED_AT: "created_at",
    pb.ListInvitationsRequest.OrderBy.EXPIRES_AT: "expires_at",
    pb.ListInvitationsRequest.OrderBy.EMAIL: "email",
}

Presented = Oneof[Any, Any] | None


def _moment(timestamp: Timestamp | None) -> datetime | None:
    try:
        return None if timestamp is None else timestamp.to_datetime().astimezone(UTC)
    except OverflowError:
        # The last half of a microsecond before the year 10000.
        return datetime.max.replace(tzinfo=UTC)


def _struct(metadata: Mapping[str, Any]) -> Struct:
    return Struct.from_json(json.dumps(metadata)) if metadata else Struct()


def _metadata(struct: Struct | None) -> dict[str, Any]:
    """Give metadata as JSON has it: a Struct knows only floats, so whole numbers are made whole again."""
    value: dict[str, Any] = {} if struct is None else json.loads(struct.to_json(), parse_float=_number)
    return value


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else number


def _presented(which: Presented) -> dict[str, str]:
    """Give the token or the id that a request presents, as the use cases take it."""
    return {} if which is None else {which.field: which.value}


class InvitationServicer(InvitationServiceSync):
    """`invitations.v1.InvitationService`."""

    def __init__(self, invitations: Invitations, roles: Roles, clock: Clock) -> None:
        self._invitations = invitations
        self._roles = roles
        self._clock = clock

    def create_invitation(self, request: pb.CreateInvitationRequest, _ctx: Context, /) -> pb.CreateInvitationResponse:
        """See the contract."""
        assert request.invitation is not None  # noqa: S101 # required by the contract, checked before
        invited = self._invitations.create(current_call(), request.organization_id, _new(request.invitation))
        return self._created(invited)

    def batch_create_invitations(
        self, request: pb.BatchCreateInvitationsRequest, _ctx: Context, /
    ) -> pb.BatchCreateInvitationsResponse:
        """See the contract."""
        outcomes = self._invitations.create_batch(
            current_call(),
            request.organization_id,
            [_checked(item) for item in request.invitations],
            all_or_nothing=request.all_or_nothing,
        )
        return pb.BatchCreateInvitationsResponse(
            outcomes=[self._outcome(outcome) for outcome in outcomes],
            created_count=sum(isinstance(outcome, Invited) for outcome in outcomes),
        )

    def get_invitation(self, request: pb.GetInvitationRequest, _ctx: Context, /) -> pb.GetInvitationResponse:
        """See the contract."""
        found = self._invitations.get(current_call(), request.invitation_id)
        return pb.GetInvitationResponse(invitation=self._invitation(found))

    def list_invitations(self, request: pb.ListInvitationsRequest, _ctx: Context, /) -> pb.ListInvitationsResponse:
        """See the contract."""
        page = self._invitations.list_for_organization(
            current_call(),
            request.organization_id,
            self._filter(request.filter),
            InvitationOrder(_ORDER[request.order_by], descending=not request.ascending),
            page_size=request.page_size,
            token=request.page_token,
            total=request.include_total,
        )
        return pb.ListInvitationsResponse(
            invitations=[self._invitation(found) for found in page.invitations],
            next_page_token=page.next_token,
            total_size=page.total,
        )

    def resend_invitation(self, request: pb.ResendInvitationRequest, _ctx: Context, /) -> pb.ResendInvitationResponse:
        """See the contract."""
        invited = self._invitations.resend(
            current_call(),
            request.invitation_id,
            ttl=None if request.ttl is None else request.ttl.to_timedelta(),
            send_email=request.send_email if request.has_field("send_email") else True,
        )
        return pb.ResendInvitationResponse(invitation=self._invitation(invited.invitation), token=invited.token or "")

    def revoke_invitation(self, request: pb.RevokeInvitationRequest, _ctx: Context, /) -> pb.RevokeInvitationResponse:
        """See the contract."""
        revoked = self._invitations.revoke(current_call(), request.invitation_id)
        return pb.RevokeInvitationResponse(invitation=self._invitation(revoked))

    def delete_invitation(self, request: pb.DeleteInvitationRequest, _ctx: Context, /) -> pb.DeleteInvitationResponse:
        """See the contract."""
        self._invitations.delete(current_call(), request.invitation_id)
        return pb.DeleteInvitationResponse()

    def preview_invitation(
        self, request: pb.PreviewInvitationRequest, _ctx: Context, /
    ) -> pb.PreviewInvitationResponse:
        """See the contract."""
        view = self._invitations.preview(current_call(), **_presented(request.invitation))
        return pb.PreviewInvitationResponse(invitation=self._preview(view))

    def accept_invitation(self, request: pb.AcceptInvitationRequest, _ctx: Context, /) -> pb.AcceptInvitationResponse:
        """See the contract."""
        view, member = self._invitations.accept(current_call(), **_presented(request.invitation))
        return pb.AcceptInvitationResponse(invitation=self._preview(view), member=self._member(member))

    def decline_invitation(
        self, request: pb.DeclineInvitationRequest, _ctx: Context, /
    ) -> pb.DeclineInvitationResponse:
        """See the contract."""
        view = self._invitations.decline(current_call(), **_presented(request.invitation))
        return pb.DeclineInvitationResponse(invitation=self._preview(view))

    def list_my_invitations(
        self, request: pb.ListMyInvitationsRequest, _ctx: Context, /
    ) -> pb.ListMyInvitationsResponse:
        """See the contract."""
        views, next_token = self._invitations.page_of_mine(
            current_call(),
            _statuses(request.statuses) or (InvitationStatus.PENDING,),
            page_size=request.page_size,
            token=request.page_token,
        )
        return pb.ListMyInvitationsResponse(
            invitations=[self._preview(view) for view in views], next_page_token=next_token
        )

    def _filter(self, given: pb.ListInvitationsRequest.Filter | None) -> InvitationFilter:
        if given is None:
            return InvitationFilter(self._clock())
        return InvitationFilter(
            self._clock(),
            statuses=_statuses(given.statuses),
            delivery_states=tuple(_DELIVERY_READ[s] for s in given.delivery_states if s in _DELIVERY_READ),
            email_key=address_key(given.email) if given.email else "",
            search=fold(given.search),
            inviter_account_id=given.inviter_account_id,
            created_from=_moment(given.created_from),
            created_before=_moment(given.created_before),
        )

    def _role_keys(self, role_ids: tuple[str, ...]) -> list[str]:
        if not role_ids:
            return []
        keys = {role.id: role.key for role in self._roles.list()}
        return [keys[role_id] for role_id in role_ids if role_id in keys]

    def _invitation(self, found: Invitation) -> pb.Invitation:
        written = pb.Invitation()
        written.id = found.id
        written.organization_id = found.organization_id
        written.email = found.email
        written.role = found.role.value
        written.named_roles = self._role_keys(found.named_roles)
        written.status = _STATUSES[found.status_at(self._clock())]
        written.inviter_account_id = found.inviter_account_id or ""
        written.inviter_name = found.inviter_name
        written.created_at = timestamp(found.created_at)
        written.updated_at = timestamp(found.updated_at)
        written.expires_at = timestamp(found.expires_at)
        written.responded_at = timestamp_or_none(found.responded_at)
        written.public_metadata = _struct(found.public_metadata)
        written.private_metadata = _struct(found.private_metadata)
        written.redirect_url = found.redirect_url
        written.locale = found.locale
        written.delivery_state = _DELIVERY[found.delivery_state]
        written.delivery_error = found.delivery_error
        written.accepted_account_id = found.accepted_account_id or ""
        return written

    def _preview(self, view: InvitationView) -> pb.InvitationPreview:
        found = view.invitation
        return pb.InvitationPreview(
            id=found.id,
            organization_id=found.organization_id,
            organization_name=view.organization.name,
            organization_member_count=view.organization.member_count,
            masked_email=masked_address(found.email),
            role=found.role.value,
            named_roles=self._role_keys(found.named_roles),
            status=_STATUSES[found.status_at(self._clock())],
            inviter_name=found.inviter_name,
            expires_at=timestamp(found.expires_at),
            public_metadata=_struct(found.public_metadata),
            redirect_url=self._invitations.redirect_of(found),
        )

    def _member(self, member: Member) -> pb.InvitedMember:
        return pb.InvitedMember(
            user_id=member.user_id,
            organization_id=member.organization_id,
            account_id=member.account_id,
            role=member.role.value,
            named_roles=self._role_keys(member.named_roles),
            joined_at=timestamp(member.joined_at),
        )

    def _created(self, invited: Invited) -> pb.CreateInvitationResponse:
        return pb.CreateInvitationResponse(invitation=self._invitation(invited.invitation), token=invited.token or "")

    def _outcome(self, outcome: Invited | ServiceError) -> pb.BatchCreateInvitationsResponse.Outcome:
        if isinstance(outcome, Invited):
            created: Oneof[Literal["created"], pb.CreateInvitationResponse] = Oneof("created", self._created(outcome))
            return pb.BatchCreateInvitationsResponse.Outcome(outcome=created)
        wait = outcome.retry_after_seconds
        refusal = pb.BatchCreateInvitationsResponse.Refusal(
            reason=outcome.reason.name,
            message=str(outcome),
            retry_after=None if wait is None else Duration.from_nanos(round(wait * 1e9)),
        )
        refused: Oneof[Literal["refused"], pb.BatchCreateInvitationsResponse.Refusal] = Oneof("refused", refusal)
        return pb.BatchCreateInvitationsResponse.Outcome(outcome=refused)


def _statuses(given: list[pb.InvitationStatus]) -> tuple[InvitationStatus, ...]:
    return tuple(_STATUSES_READ[status] for status in given if status in _STATUSES_READ)


def _checked(given: pb.NewInvitation) -> NewInvitation | ServiceError:
    """Give an item of a batch, or its refusal: one that breaks the rules doesn't hinder the others."""
    violations = rule_violations(given)
    return invalid_request(violations) if violations else _new(given)


def _new(given: pb.NewInvitation) -> NewInvitation:
    return NewInvitation(
        email=given.email,
        roles=tuple(role for role in (given.role, *given.named_roles) if role),
        ttl=None if given.ttl is None else given.ttl.to_timedelta(),
        public_metadata=_metadata(given.public_metadata),
        private_metadata=_metadata(given.private_metadata),
        redirect_url=given.redirect_url,
        locale=given.locale,
        send_email=given.send_email if given.has_field("send_email") else True,
        if_pending=_IF_PENDING[given.if_pending],
        on_behalf_of=given.inviter_account_id or None,
    )
