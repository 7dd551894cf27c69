"""The command line: `organization-service serve | token | show | role | outbox`, and what `cli_data.py` adds.

What a command answers goes to standard output alone; logs and sentences go to standard error. A mistake of the
operator's is one clear sentence and exit code 2.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from server.domain.account import AccessToken, Account, BackendKey, Scope
from server.domain.address import address_key, is_address
from server.domain.errors import ServiceError
from server.domain.organization import Membership, Organization, Role
from server.domain.secrets import SecretKeys
from server.faces.spelling import from_any_spelling, spellings
from server.logs import configure_logs
from server.main import (
    Service,
    build_outbox,
    build_service,
    invitation_policy,
    open_store,
    sign_in_options,
    token_verifier,
    utc_now,
)
from server.ports import MailState, MemberFilter, MemberOrder, OutboxMail
from server.serve import Listen, ServeError, require_free_port, serve
from server.service.outbox import list_mails, retry_failed
from server.settings import DEFAULT_LIMITS, Settings, SettingsError
from server.store.sql_store import StoreSetupError
from server.tour import print_tour
from server.web.pages import are_built

log = logging.getLogger(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
LONGEST_SPAN = timedelta(days=36_500)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Span(click.ParamType[timedelta]):
    """A span of time like 90d, 12h or 30m."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read a span."""
        if isinstance(value, timedelta):
            return value
        match = _SPAN.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time; write a number and s, m, h, d or w, like 90d", param, ctx)
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if not timedelta(0) < span <= LONGEST_SPAN:
            self.fail(f"{value!r} must be longer than nothing and at most {LONGEST_SPAN.days}d", param, ctx)
        return span


def _fail(error: Exception) -> NoReturn:
    click.echo(f"organization-service: {error}", err=True)
    sys.exit(2)


def _store_options(command: Command) -> Command:
    """Give a command the options that say where everything is kept."""
    defaults = Settings()
    for option in (
        click.option(
            "--log-level",
            envvar="LOG_LEVEL",
            default=defaults.log_level,
            show_default=True,
            type=click.Choice(["debug", "info", "warning", "error"]),
        ),
        click.option(
            "--log-format",
            envvar="LOG_FORMAT",
            default=defaults.log_format,
            show_default=True,
            type=click.Choice(["auto", "json", "text"]),
            help="auto: text on a terminal, JSON elsewhere.",
        ),
        click.option(
            "--secret-key-file",
            envvar="SECRET_KEY_FILE",
            default="",
            help="File with a key in each line, the newest first. Default with SQLite: made beside the database."
            " SECRET_KEY in the environment (keys separated by commas) goes before it.",
        ),
        click.option(
            "--database-url",
            envvar="DATABASE_URL",
            default=defaults.database_url,
            show_default=True,
            help="Where everything is kept: sqlite:///relative.db, sqlite:////absolute/file.db or postgresql://….",
        ),
    ):
        command = option(command)
    return command


def _mail_options(command: Command) -> Command:
    """Give a command the options of mail."""
    defaults = Settings()
    for option in (
        click.option(
            "--mail-templates",
            envvar="MAIL_TEMPLATES",
            default="",
            help="Directory with mail templates that go before ours of the same name: en/invitation.subject.txt,"
            " en/invitation.txt, en/invitation.html, the same of sign_in and in de, es and zh, and layout.html.",
        ),
        click.option(
            "--mail-from",
            envvar="MAIL_FROM",
            default=defaults.mail_from,
            show_default=True,
            help="Whom all mails are from.",
        ),
        click.option(
            "--smtp-url",
            envvar="SMTP_URL",
            default="",
            help="Mail server: smtp://user:password@host:587 (STARTTLS where offered; ?starttls=required or never)"
            " or smtps://…:465; &cafile=ca.pem trusts a CA of your own. Better in the environment, for the password."
            " Default: mails stay in the outbox.",
        ),
        click.option(
            "--redirect-origins",
            envvar="REDIRECT_ORIGINS",
            default="",
            help="Origins to which an invitation's redirect URL may lead, by commas. Default: none.",
        ),
        click.option(
            "--public-url",
            envvar="PUBLIC_URL",
            default="",
            help="Where people reach this service; links in mails lead there. Default: http://HOST:PORT.",
        ),
    ):
        command = option(command)
    return command


def _sign_in_options(command: Command) -> Command:
    """Give a command the options of who may sign in, and how."""
    defaults = Settings()
    for option in (
        click.option(
            "--development",
            envvar="DEVELOPMENT",
            is_flag=True,
            help="This is a machine to develop on: without --smtp-url, codes to sign in with are written into the log,"
            " where whoever reads it can sign in as anybody. Never where others can reach the service: refused where"
            " --public-url is another machine.",
        ),
        click.option(
            "--session-days",
            envvar="SESSION_DAYS",
            default=defaults.session_days,
            show_default=True,
            help="How many days people stay signed in to the pages.",
        ),
        click.option(
            "--sign-in-codes",
            envvar="SIGN_IN_CODES",
            default=defaults.sign_in_codes,
            show_default=True,
            type=click.Choice(["on", "off"]),
            help="Whether people can sign in to the pages by a code that is mailed to them, where no --oidc-issuer is"
            " trusted and --smtp-url is set. Anybody with an address can then have an account.",
        ),
        click.option(
            "--oidc-provider-name",
            envvar="OIDC_PROVIDER_NAME",
            default="",
            help="What people call the first issuer. Default: its host.",
        ),
        click.option(
            "--oidc-client-secret",
            envvar="OIDC_CLIENT_SECRET",
            default="",
            help="The secret that goes with --oidc-client-id, where the issuer gave one. Better in the environment.",
        ),
        click.option(
            "--oidc-client-id",
            envvar="OIDC_CLIENT_ID",
            default="",
            help="Who this service is to the first issuer, at which people then sign in to the pages; allow it to send"
            " them back to PUBLIC_URL/sign-in/callback.",
        ),
        click.option("--oidc-audience", envvar="OIDC_AUDIENCE", default="", help="Audiences their tokens must be for."),
        click.option(
            "--oidc-issuer", envvar="OIDC_ISSUER", default="", help="Trusted OpenID Connect issuers, by commas."
        ),
    ):
        command = option(command)
    return command


def _settings(given: dict[str, Any]) -> Settings:
    """Give the settings: what stands in the environment, and over it what the command line says."""
    said = {name.upper(): "1" if value is True else value for name, value in given.items() if value}
    return Settings.from_environ(os.environ | said)


def _with_service(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the use cases on the configured store, and close it behind."""

    @_store_options
    @wraps(command)
    def run(database_url: str, secret_key_file: str, log_format: str, log_level: str, **rest: Any) -> None:
        settings = _settings(
            {
                "database_url": database_url,
                "secret_key_file": secret_key_file,
                "log_format": log_format,
                "log_level": log_level,
            }
        )
        configure_logs(settings.log_format, settings.log_level)
        try:
            keys = SecretKeys(settings.secret_keys())
            service = build_service(open_store(settings), keys, policy=invitation_policy(settings))
            try:
                command(service, **rest)
            finally:
                service.store.close()
        except (SettingsError, StoreSetupError, ServiceError) as error:
            _fail(error)

    return run


DATA_COMMANDS = ("backup", "copy", "migrate", "restore")
"""The commands of `cli_data.py`."""


class _Commands(click.Group):
    """Loads the commands on data, and with them the drivers of all databases, when one of them is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all."""
        return sorted([*super().list_commands(ctx), *DATA_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give the one of this name."""
        if cmd_name not in DATA_COMMANDS:
            return super().get_command(ctx, cmd_name)
        from server import cli_data

        return cli_data.COMMANDS[cmd_name]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="organization-service")
def main() -> None:
    """Organizations, their members, and the ways people come in.

    Start with `serve`, make a token with `token create`, and call the service with it. Every option is also an
    environment variable of its name: --database-url is DATABASE_URL.
    """


@main.command("serve")
@click.option("--host", envvar="HOST", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    envvar="PORT",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    envvar="WORKERS",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Server processes on the port.",
)
@click.option(
    "--share-port",
    envvar="SHARE_PORT",
    is_flag=True,
    help="Listen even where another server of yours does already, and share its connections: to restart one by one.",
)
@click.option(
    "--tls-cert",
    envvar="TLS_CERT",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file with the certificate and its chain; the port then speaks TLS alone. Goes with --tls-key.",
)
@click.option(
    "--tls-key",
    envvar="TLS_KEY",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file with the certificate's key.",
)
@click.option("--cors-origins", envvar="CORS_ORIGINS", default="", help="Origins whose pages may call, by commas.")
@click.option(
    "--limits",
    envvar="LIMITS",
    default="",
    help="Limits to change, like 'caller=600/1m guesses=off'; off turns all off. Each process counts for itself, except"
    f" inviter, invitations and recipient, which the database counts. Default: {DEFAULT_LIMITS}.",
)
@click.option(
    "--trusted-proxies",
    envvar="TRUSTED_PROXIES",
    default=Settings().trusted_proxies,
    show_default=True,
    help="How many proxies of your own stand in front; their X-Forwarded-For says who the client is.",
)
@click.option(
    "--max-members",
    envvar="MAX_MEMBERS",
    default="",
    help="How many active members an organization has at most. Default: as many as there come.",
)
@click.option("--tour", is_flag=True, hidden=True, help="Make a token and print what to try (what `make run` uses).")
@_sign_in_options
@_mail_options
@_store_options
def serve_command(host: str, port: int, workers: int, share_port: bool, **given: Any) -> None:
    """Serve Connect, gRPC, gRPC-Web and JSON on one port, until SIGTERM."""
    tour, tls_cert, tls_key = given.pop("tour"), given.pop("tls_cert"), given.pop("tls_key")
    given["public_url"] = given["public_url"] or _own_url(host, port, tls=tls_cert is not None)
    settings = _settings(given)
    configure_logs(settings.log_format, settings.log_level)
    if (tls_cert is None) != (tls_key is None):
        _fail(ServeError("--tls-cert and --tls-key go together; give both or neither"))
    try:
        # Tried and opened here first, so that what is wrong is said once and clearly, before a server process starts.
        if not share_port:
            require_free_port(host, port)
        # Not Path.exists, which raises for a name that is too long.
        known = settings.is_postgres or os.path.exists(settings.sqlite_path)
        keys = SecretKeys(settings.secret_keys())
        service = build_service(open_store(settings), keys, policy=invitation_policy(settings))
        _ = settings.issuers, settings.allowed_origins, settings.rates, settings.proxies
        sign_in_options(settings, token_verifier(settings))
        if build_outbox(settings, service.store, keys) is None:
            log.warning("SMTP_URL is not set: mails stay in the outbox until it is (organization-service outbox list)")
        if not settings.signs_in_at_issuer and not settings.offers_codes:
            log.warning("nobody can sign in to the pages: %s", _how_to_sign_in(settings))
        if not are_built():
            log.warning("the web pages are missing, and answer 503: with Node.js `make install` builds them")
        token = _tour_token(service) if tour else ""
        service.store.close()

        def ready(listening: int) -> None:
            url = f"{'https' if tls_cert else 'http'}://{host}:{listening}"
            if token:
                print_tour(url, token, settings.database_url, known=known)
            else:
                click.echo(f"organization-service listens on {url}", err=True)

        code = serve(Listen(host, port, workers, tls_cert, tls_key), settings, ready)
    except (SettingsError, StoreSetupError, ServeError, ServiceError) as error:
        _fail(error)
    sys.exit(code)


def _how_to_sign_in(settings: Settings) -> str:
    if settings.issuers:
        return "set OIDC_CLIENT_ID, so that they sign in at the issuer"
    if settings.sign_in_codes == "off":
        return "SIGN_IN_CODES is off; set OIDC_ISSUER and OIDC_CLIENT_ID"
    return (
        "set OIDC_ISSUER and OIDC_CLIENT_ID, or SMTP_URL so that they get codes by mail, or DEVELOPMENT=1 on a machine"
        " of your own"
    )


def _own_url(host: str, port: int, *, tls: bool) -> str:
    """Give where this machine reaches the server; empty while the port is still to be found."""
    if not port:
        return ""
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 # where not to lead people
    return f"{'https' if tls else 'http'}://{f'[{name}]' if ':' in name else name}:{port}"


def _tour_token(service: Service) -> str:
    account = service.authentication.local_account("admin@example.com", "Admin")
    secret, _ = service.tokens.issue(account, description="made by make run", expires_at=utc_now() + timedelta(days=7))
    return secret


@main.group()
def token() -> None:
    """Access tokens: make, list and revoke them."""


@token.command("create")
@click.option("--email", default="", help="Address of the person; their account is made when there is none.")
@click.option("--organization", default="", help="With --email: id of the one organization that the token is for.")
@click.option("--backend", is_flag=True, help="Make a backend key, which is no person's; needs --name.")
@click.option(
    "--only-organization", multiple=True, help="With --backend: id of an organization the key reaches. Default: all."
)
@click.option(
    "--scope",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="With --backend: what the key may do. Default: all.",
)
@click.option("--name", default="", help="The person's name; the address when left out.")
@click.option("--expires", type=Span(), help="When the token ends, like 90d or 12h; never when left out.")
@click.option("--description", default="made at the command line", help="What the token is for.")
@click.option("--read-only", is_flag=True, help="The token may only read.")
@_with_service
def token_create(
    service: Service,
    email: str,
    organization: str,
    name: str,
    expires: timedelta | None,
    description: str,
    only_organization: tuple[str, ...],
    scope: tuple[str, ...],
    *,
    backend: bool,
    read_only: bool,
) -> None:
    """Make an access token of a person, or a backend key, and print it, alone, on standard output.

    It is never shown again.
    """
    expires_at = utc_now() + expires if expires else None
    if backend:
        if not name or email:
            raise SettingsError("a backend key has a --name and no --email")
        if read_only or organization:
            raise SettingsError("a backend key is confined by --scope and --only-organization")
        with service.store.snapshot() as tx:
            unknown = [id_ for id_ in only_organization if tx.organization(id_) is None]
        if unknown:
            raise SettingsError(f"there is no organization with the id {unknown[0]!r}")
        scopes = tuple(Scope(value) for value in scope)
        click.echo(
            service.backend_keys.issue(name, organization_ids=only_organization, scopes=scopes, expires_at=expires_at)[
                0
            ]
        )
        return
    if scope or only_organization:
        raise SettingsError("--scope and --only-organization are for --backend; confine a person's by --organization")
    if not is_address(email):
        raise SettingsError(f"{email!r} is no e-mail address; write --email alice@example.com")
    account = service.authentication.local_account(email, name)
    secret, _ = service.tokens.issue(
        account,
        description=description,
        expires_at=expires_at,
        read_only=read_only,
        organization_id=organization or None,
    )
    click.echo(secret)


@token.command("list")
@click.option("--email", default="", help="Address of the person.")
@click.option("--backend", is_flag=True, help="List backend keys instead of a person's tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def token_list(service: Service, email: str, *, backend: bool, as_json: bool) -> None:
    """List a person's access tokens, or backend keys, that aren't revoked; the secrets can't be shown."""
    if backend == bool(email):
        raise SettingsError("say whose tokens to list: --email ADDRESS, or --backend")
    if backend:
        tokens = [_key_facts(key) for key in service.backend_keys.list_all()]
    else:
        tokens = [_token_facts(t) for account in _accounts(service, email) for t in service.tokens.list_all(account)]
    if as_json:
        click.echo(json.dumps(tokens, indent=2))
        return
    for facts in tokens:
        click.echo("  ".join(str(facts[name] or "-") for name in ("id", "created_at", "expires_at", "description")))


@token.command("revoke")
@click.argument("id_or_token")
@_with_service
def token_revoke(service: Service, id_or_token: str) -> None:
    """Revoke a token by its id or the token itself; it opens nothing from the next second on."""
    if not service.tokens.revoke(id_or_token) and not service.backend_keys.revoke(id_or_token):
        raise SettingsError("there is no such token, or it is revoked already; see: organization-service token list")
    click.echo("revoked", err=True)


@main.group()
def show() -> None:
    """Show what is kept of an account, an organization or an invitation."""


@show.command("account")
@click.argument("email_or_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def show_account(service: Service, email_or_id: str, *, as_json: bool) -> None:
    """Show a person's account and memberships."""
    accounts = _accounts(service, email_or_id)
    with service.store.snapshot() as tx:
        facts = [_account_facts(account, list(tx.memberships(account.id))) for account in accounts]
    _print(facts[0] if len(facts) == 1 else {"accounts": facts}, as_json=as_json)


@show.command("organization")
@click.argument("organization_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def show_organization(service: Service, organization_id: str, *, as_json: bool) -> None:
    """Show an organization and its first hundred members."""
    with service.store.snapshot() as tx:
        organization = tx.organization(from_any_spelling("organization", organization_id) or "")
        if organization is None:
            raise SettingsError(f"there is no organization with the id {organization_id!r}")
        page = tx.members(organization.id, MemberFilter(), MemberOrder(), None, 100)
        link = tx.invite_link(organization.id)
    facts = _organization_facts(organization) | {
        "live_invite_since": link.created_at.isoformat() if link else None,
        "members": [
            {"user_id": m.user_id, "account_id": m.account_id, "role": m.role, "email": m.email} for m in page.members
        ],
    }
    _print(facts, as_json=as_json)


@show.command("invitation")
@click.argument("invitation_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def show_invitation(service: Service, invitation_id: str, *, as_json: bool) -> None:
    """Show an invitation; its token can't be shown."""
    with service.store.snapshot() as tx:
        found = tx.invitation(from_any_spelling("invitation", invitation_id) or "")
    if found is None:
        raise SettingsError(f"there is no invitation with the id {invitation_id!r}")
    facts = {
        "ids": spellings("invitation", found.id),
        "organization_ids": spellings("organization", found.organization_id),
        "email": found.email,
        "role": found.role.value,
        "status": found.status_at(utc_now()).value,
        "delivery_state": found.delivery_state.value,
        "delivery_error": found.delivery_error,
        "created_at": _moment(found.created_at),
        "expires_at": _moment(found.expires_at),
    }
    _print(facts, as_json=as_json)


@main.group()
def role() -> None:
    """Named roles of the instance, each with the rights of admin or member."""


@role.command("create")
@click.argument("key")
@click.option("--name", default="", help="What people read; the key when left out.")
@click.option("--description", default="", help="What the role is for.")
@click.option("--rights", type=click.Choice([r.value for r in Role]), default=Role.MEMBER.value, show_default=True)
@_with_service
def role_create(service: Service, key: str, name: str, description: str, rights: str) -> None:
    """Make a named role that invitations and memberships can carry, and print its id."""
    click.echo(service.roles.create(key, name or key, description=description, rights=Role(rights)).id)


@role.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def role_list(service: Service, *, as_json: bool) -> None:
    """List the named roles."""
    roles = [
        {"ids": spellings("role", r.id), "key": r.key, "name": r.name, "rights": r.rights.value}
        for r in service.roles.list()
    ]
    if as_json:
        click.echo(json.dumps(roles, indent=2))
        return
    for facts in roles:
        click.echo(f"{facts['key']}  {facts['name']}  {facts['rights']}")


@main.group()
def outbox() -> None:
    """Mails that wait, went out or failed: list them and try failed ones again."""


@outbox.command("list")
@click.option("--state", type=click.Choice([state.value for state in MailState]), help="Only mails in this state.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_with_service
def outbox_list(service: Service, state: str | None, limit: int, *, as_json: bool) -> None:
    """List mails, the newest first. What they say can't be shown: it is made when they are sent."""
    found = list_mails(service.store, (MailState(state),) if state else (), limit)
    mails = [_mail_facts(mail, invitation.email) for mail, invitation in found]
    if as_json:
        click.echo(json.dumps(mails, indent=2, ensure_ascii=False))
        return
    for facts in mails:
        click.echo("  ".join(f"{name}={value}" for name, value in facts.items() if value not in (None, "")))


@outbox.command("retry")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_with_service
def outbox_retry(service: Service, ids: tuple[str, ...]) -> None:
    """Try failed mails again: these (ids of mails or of invitations), or all."""
    requeued = retry_failed(service.store, utc_now, ids)
    click.echo(f"{requeued} mail{'' if requeued == 1 else 's'} queued again")


def _mail_facts(mail: OutboxMail, address: str) -> dict[str, Any]:
    return {
        "id": mail.id,
        "invitation": mail.invitation_id,
        "address": address,
        "state": mail.state.value,
        "attempts": mail.attempts,
        "created_at": _moment(mail.created_at),
        "next_attempt_at": _moment(mail.next_attempt_at) if mail.state is MailState.QUEUED else None,
        "sent_at": _moment(mail.sent_at),
        "error": mail.error,
    }


def _accounts(service: Service, email_or_id: str) -> list[Account]:
    with service.store.snapshot() as tx:
        by_id = tx.account(from_any_spelling("account", email_or_id) or "")
        accounts = [by_id] if by_id else list(tx.accounts_by_email(address_key(email_or_id)))
    if not accounts:
        raise SettingsError(f"there is no account with the id or address {email_or_id!r}")
    return accounts


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _token_facts(found: AccessToken) -> dict[str, Any]:
    return {
        "id": found.id,
        "user_id": found.user_id,
        "description": found.description,
        "read_only": found.read_only,
        "created_at": _moment(found.created_at),
        "expires_at": _moment(found.expires_at),
        "last_used_at": _moment(found.last_used_at),
    }


def _key_facts(key: BackendKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "description": key.name,
        "organization_ids": list(key.organization_ids),
        "scopes": [scope.value for scope in key.scopes],
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at),
        "last_used_at": _moment(key.last_used_at),
    }


def _account_facts(account: Account, memberships: list[Membership]) -> dict[str, Any]:
    return {
        "ids": spellings("account", account.id),
        "issuer": account.issuer,
        "subject": account.subject,
        "name": account.name,
        "email": account.email,
        "email_verified": account.email_verified,
        "created_at": _moment(account.created_at),
        "memberships": [
            {"user_id": m.member.user_id, "role": m.member.role, "organization": m.organization.name}
            | {"organization_id": m.organization.id}
            for m in memberships
        ],
    }


def _organization_facts(organization: Organization) -> dict[str, Any]:
    return {
        "ids": spellings("organization", organization.id),
        "name": organization.name,
        "invite_domains": list(organization.invite_domains),
        "member_count": organization.member_count,
        "created_at": _moment(organization.created_at),
    }


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            click.echo(f"{name}:")
            for item in value:
                click.echo("  " + "  ".join(f"{k}={v}" for k, v in item.items()))
        else:
            shown = " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
            click.echo(f"{name}: {shown}")
