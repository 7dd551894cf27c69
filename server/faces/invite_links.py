"""`invitations.v1.InviteLinkService`: what Gitpod's contract can't say of the invite link."""

from __future__ import annotations

from typing import Any

from connectrpc.request import RequestContext

from gen.invitations.v1 import invite_link_pb as pb
from gen.invitations.v1.invite_link_connect import InviteLinkServiceSync
from server.faces.connect import current_call
from server.service.invite_links import InviteLinks


class InviteLinkServicer(InviteLinkServiceSync):
    """`invitations.v1.InviteLinkService`."""

    def __init__(self, links: InviteLinks) -> None:
        self._links = links

    def disable_invite_link(
        self, request: pb.DisableInviteLinkRequest, _ctx: RequestContext[Any, Any], /
    ) -> pb.DisableInviteLinkResponse:
        """See the contract."""
        self._links.disable(current_call(), request.organization_id)
        return pb.DisableInviteLinkResponse()
