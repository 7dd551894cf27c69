"""Joins the parts: settings → store → use cases. `wires.py` puts them on every wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from server.domain.secrets import SecretKeys
from server.domain.session import SignInMethods
from server.faces.sessions import CALLBACK_PATH
from server.ids import new_id
from server.mail import MailSetupError
from server.ports import Clock, Ids, Mailer, Store, TokenVerifier
from server.sealing import KeySealing
from server.service.access_tokens import AccessTokens
from server.service.administration import Administration
from server.service.authentication import Authentication
from server.service.backend_keys import BackendKeys
from server.service.idempotency import Idempotency
from server.service.invitations import InvitationPolicy, Invitations
from server.service.invite_links import InviteLinks
from server.service.organizations import Organizations
from server.service.outbox import KEPT as MAILS_KEPT
from server.service.outbox import Links, Outbox
from server.service.roles import Roles
from server.service.sessions import Sessions
from server.service.sign_in import SignIn, SignInOptions
from server.service.sign_in_mail import SignInMails
from server.settings import Settings, SettingsError
from server.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from server.oidc import JwtVerifier
    from server.oidc_sign_in import OidcProvider


def utc_now() -> datetime:
    """Give the time; `ports.Clock`."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Service:
    """The use cases on one store."""

    store: Store
    clock: Clock
    organizations: Organizations
    links: InviteLinks
    invitations: Invitations
    roles: Roles
    administration: Administration
    tokens: AccessTokens
    backend_keys: BackendKeys
    authentication: Authentication
    sessions: Sessions
    sign_in: SignIn
    idempotency: Idempotency


def open_store(settings: Settings, clock: Clock = utc_now) -> Store:
    """Open the store that DATABASE_URL names, with its schema up to date."""
    if settings.is_postgres:
        # A seventh of what a start takes, for which only those wait who use it.
        from server.store.postgres import PostgresStore

        return PostgresStore(settings.database_url, clock)
    return SqliteStore(settings.sqlite_path, clock)


def token_verifier(settings: Settings, clock: Clock = utc_now) -> JwtVerifier | None:
    """Give the verifier of the configured issuers' tokens, None when there are none."""
    if not settings.issuers:
        return None
    from server.oidc import IssuerConfig, JwtVerifier

    issuers = tuple(IssuerConfig(issuer.url, issuer.audiences) for issuer in settings.issuers)
    return JwtVerifier(issuers, clock=clock)


def invitation_policy(settings: Settings) -> InvitationPolicy:
    """Give what the operator allows for invitations; `SettingsError` when it can't be held."""
    rates = settings.rates
    recipient = rates["recipient"]
    if recipient and recipient.seconds > MAILS_KEPT.total_seconds():
        raise SettingsError(
            f"LIMITS has recipient={recipient.count}/{recipient.seconds:g}s, and mails are counted for"
            f" {MAILS_KEPT.days * 24}h at most"
        )
    return InvitationPolicy(
        settings.allowed_redirects,
        settings.most_members,
        inviter_rate=rates["inviter"],
        organization_rate=rates["invitations"],
        recipient_rate=recipient,
    )


def sign_in_provider(settings: Settings, verifier: JwtVerifier | None) -> OidcProvider | None:
    """Give the provider at which people sign in to the pages: the first issuer, where we are its client."""
    if not settings.signs_in_at_issuer or verifier is None:
        return None
    from server.oidc_sign_in import OidcProvider

    back = settings.public_base + CALLBACK_PATH
    client_id, secret = settings.oidc_client_id, settings.oidc_client_secret
    return OidcProvider(verifier, settings.issuers[0].url, client_id, back, secret)


def sign_in_options(
    settings: Settings, verifier: JwtVerifier | None, wake: Callable[[], None] = lambda: None
) -> SignInOptions:
    """Give the ways to sign in to the pages; `wake` is called when a code waits to be mailed."""
    provider = sign_in_provider(settings, verifier)
    name = settings.oidc_provider_name or urlsplit(provider.issuer).netloc if provider else ""
    in_log = settings.offers_codes and not settings.smtp_url
    return SignInOptions(
        methods=SignInMethods(name, email_code=settings.offers_codes, code_in_log=in_log),
        provider=provider,
        session_life=timedelta(days=settings.session_life_days),
        base_path=urlsplit(settings.public_base).path if settings.public_url else "",
        wake=wake,
    )


def build_mailer(settings: Settings) -> Mailer | None:
    """Give what hands mails over, None when there is no SMTP_URL; `SettingsError` when it can't be used."""
    if not settings.smtp_url and not settings.mail_templates and settings.mail_from == Settings().mail_from:
        # Nothing is set that could be wrong; trying all of our own templates takes a tenth of a second.
        return None
    from server.mail.message import Sender
    from server.mail.render import Templates
    from server.mail.smtp import SmtpMailer, SmtpServer

    try:
        sender, templates = Sender.parse(settings.mail_from), Templates(settings.mail_templates)
        return SmtpMailer(SmtpServer.from_url(settings.smtp_url), sender, templates) if settings.smtp_url else None
    except MailSetupError as error:
        raise SettingsError(str(error)) from error


def build_sign_in_mails(
    settings: Settings, store: Store, keys: SecretKeys, *, clock: Clock = utc_now
) -> SignInMails | None:
    """Give what sends codes to sign in with, by mail or in development into the log; None where none are offered."""
    if not settings.offers_codes:
        return None
    from server.mail.in_log import LogMailer

    site = urlsplit(settings.public_base).netloc if settings.public_url else "localhost"
    return SignInMails(store, clock, keys, build_mailer(settings) or LogMailer(), site)


def build_outbox(settings: Settings, store: Store, keys: SecretKeys, *, clock: Clock = utc_now) -> Outbox | None:
    """Give what sends the mails that wait, None when there is no SMTP_URL; `SettingsError` when it can't be used."""
    mailer = build_mailer(settings)
    if mailer is None:
        return None
    links = Links(settings.public_base, settings.allowed_redirects)
    return Outbox(store, clock, keys, mailer, links, KeySealing(keys))


def build_service(
    store: Store,
    keys: SecretKeys,
    *,
    clock: Clock = utc_now,
    ids: Ids = new_id,
    verifier: TokenVerifier | None = None,
    policy: InvitationPolicy | None = None,
    sign_in: SignInOptions | None = None,
) -> Service:
    """Give the use cases on a store."""
    policy, options, sealing = policy or InvitationPolicy(), sign_in or SignInOptions(), KeySealing(keys)
    authentication = Authentication(store, clock, ids, verifier)
    sessions = Sessions(store, clock, ids, options.session_life)
    return Service(
        store=store,
        clock=clock,
        organizations=Organizations(store, clock, ids, policy.most_members),
        links=InviteLinks(store, clock, ids, keys),
        invitations=Invitations(store, clock, ids, keys, sealing, policy),
        roles=Roles(store, ids),
        administration=Administration(store, clock, ids, policy.most_members),
        tokens=AccessTokens(store, clock, ids),
        backend_keys=BackendKeys(store, clock, ids),
        authentication=authentication,
        sessions=sessions,
        sign_in=SignIn(store, clock, ids, keys, sealing, authentication, sessions, policy, options),
        idempotency=Idempotency(store, clock, sealing),
    )
