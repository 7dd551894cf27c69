"""Joins the parts: use cases → faces → the one application that the server mounts."""

from __future__ import annotations

from typing import Any
from wsgiref.types import WSGIApplication

from connectrpc.server import ConnectWSGIApplication
from protobuf import DescService

from gen.gitpod.v1.account_connect import AccountServiceWSGIApplication
from gen.gitpod.v1.identity_connect import IdentityServiceWSGIApplication
from gen.gitpod.v1.organization_connect import OrganizationServiceWSGIApplication
from gen.gitpod.v1.user_connect import UserServiceWSGIApplication
from gen.grpc.health.v1.health_connect import HealthWSGIApplication
from gen.invitations.v1.invitation_connect import InvitationServiceWSGIApplication
from gen.invitations.v1.invite_link_connect import InviteLinkServiceWSGIApplication
from gen.invitations.v1.session_connect import SessionServiceWSGIApplication
from server.edge import Edge
from server.faces.clerk import clerk_face
from server.faces.connect import CODECS, READ_MAX_BYTES, Boundary, interceptors
from server.faces.gitpod import AccountServicer, IdentityServicer, OrganizationServicer, QueryPaging, UserServicer
from server.faces.health import Health
from server.faces.invitations import InvitationServicer
from server.faces.invite_links import InviteLinkServicer
from server.faces.koyeb import koyeb_face
from server.faces.logto import logto_face
from server.faces.own_pages import OwnPages
from server.faces.refusing import RefusingApplication
from server.faces.rest import Parts
from server.faces.sessions import CALLBACK_PATH, SessionServicer, callback
from server.logs import Tell, tell
from server.main import Service
from server.service.limits import UNLIMITED, Limits
from server.web import pages as web_pages

REFLECTED = (
    OrganizationServicer.desc(),
    AccountServicer.desc(),
    IdentityServicer.desc(),
    UserServicer.desc(),
    InvitationServicer.desc(),
    InviteLinkServicer.desc(),
    SessionServicer.desc(),
    Health.desc(),
)
"""The services that a client may ask the descriptions of."""

READS = frozenset({"GetOrganizationInvite", "PreviewInvitation"})
"""Methods that change nothing, though their contract doesn't mark them so."""


def build_edge(
    service: Service,
    *,
    public_url: str = "http://localhost:8080",
    sends_mail: bool = False,
    limits: Limits = UNLIMITED,
    tell: Tell = tell,
) -> Edge:
    """Give the WSGI application that speaks for the use cases on every wire."""
    own_pages = OwnPages(public_url)
    around = interceptors(service.authentication, service.idempotency, limits, own_pages, QueryPaging(), reads=READS)
    options: dict[str, Any] = {"interceptors": around, "codecs": CODECS, "read_max_bytes": READ_MAX_BYTES}
    # Without repetition: an answer that is kept would hold a session.
    unrepeated = options | {"interceptors": around[:-1]}
    health = Health(service.store.ping, frozenset(desc.type_name for desc in REFLECTED if desc is not Health.desc()))
    applications: dict[DescService, ConnectWSGIApplication] = {
        OrganizationServicer.desc(): OrganizationServiceWSGIApplication(
            OrganizationServicer(service.organizations, service.links), **options
        ),
        AccountServicer.desc(): AccountServiceWSGIApplication(AccountServicer(service.organizations), **options),
        IdentityServicer.desc(): IdentityServiceWSGIApplication(IdentityServicer(), **options),
        UserServicer.desc(): UserServiceWSGIApplication(UserServicer(service.organizations, service.tokens), **options),
        InvitationServicer.desc(): InvitationServiceWSGIApplication(
            InvitationServicer(service.invitations, service.roles, service.clock), **options
        ),
        InviteLinkServicer.desc(): InviteLinkServiceWSGIApplication(InviteLinkServicer(service.links), **options),
        SessionServicer.desc(): SessionServiceWSGIApplication(
            SessionServicer(service.sign_in, service.sessions, service.authentication, own_pages), **unrepeated
        ),
        Health.desc(): HealthWSGIApplication(health, interceptors=(Boundary(),), codecs=CODECS),
    }
    methods = {
        f"/{desc.type_name}/{method.name}": application
        for desc, application in applications.items()
        for method in desc.methods
    }
    parts = Parts(
        organizations=service.organizations,
        invitations=service.invitations,
        administration=service.administration,
        roles=service.roles,
        tokens=service.tokens,
        callers=service.authentication,
        idempotency=service.idempotency,
        limits=limits,
        clock=service.clock,
        public_url=public_url,
        sends_mail=sends_mail,
    )
    faces: dict[str, WSGIApplication] = {
        "clerk": clerk_face(parts),
        "koyeb": koyeb_face(parts),
        "logto": logto_face(parts),
        **dict.fromkeys(web_pages.SEGMENTS, web_pages.pages()),
        CALLBACK_PATH: callback(service.sign_in),
    }
    return Edge(methods, faces, RefusingApplication(), service.store.ping, limits, tell)
