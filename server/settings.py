"""The environment as one frozen value. Nobody else reads it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from server.domain.hosts import is_this_machine
from server.domain.rates import Rate
from server.files import make_directory, sync_directory

KEY_BYTES = 32

DEFAULT_LIMITS = (
    "address=60000/1m caller=12000/1m backend=60000/1m organization=60000/1m guesses=60/1m"
    " codes=600/1h inviter=2000/1h invitations=5000/1h recipient=10/600s"
)
"""What LIMITS is where it says nothing else; `service/limits.py` and `InvitationPolicy` say what each is."""

_RATE = re.compile(r"(\d{1,9})/(\d{0,6})([smh])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class SettingsError(Exception):
    """A setting can't be used; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class OidcIssuer:
    """A trusted OpenID Connect issuer and the audiences that its tokens must be for."""

    url: str
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator sets. Field names in capitals are the environment's names."""

    database_url: str = "sqlite:///data/organizations.db"
    secret_key: str = ""
    secret_key_file: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_provider_name: str = ""
    sign_in_codes: str = "on"
    session_days: str = "14"
    max_members: str = ""
    development: str = ""
    cors_origins: str = ""
    public_url: str = ""
    redirect_origins: str = ""
    smtp_url: str = ""
    mail_from: str = "Organization Service <no-reply@localhost>"
    mail_templates: str = ""
    limits: str = ""
    trusted_proxies: str = "0"
    log_format: str = "auto"
    log_level: str = "info"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings; what isn't set has its default."""
        names = cls.__dataclass_fields__
        return cls(**{name: environ[name.upper()] for name in names if environ.get(name.upper())})

    def to_environ(self) -> dict[str, str]:
        """Give the environment that `from_environ` reads these settings from."""
        return {name.upper(): str(getattr(self, name)) for name in self.__dataclass_fields__ if getattr(self, name)}

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL, or speaks like it."""
        return self.database_url.startswith(("postgresql://", "postgres://"))

    @property
    def sqlite_path(self) -> Path:
        """Where the embedded database is; SettingsError when the URL isn't one of a file."""
        url = _split(self.database_url)
        path = unquote(url.path)
        odd = url.netloc or url.query or url.fragment or "\0" in path
        if url.scheme != "sqlite" or odd or not path.startswith("/") or path == "/":
            raise SettingsError(
                f"DATABASE_URL {self.database_url!r} can't be used; give sqlite:///relative/file.db,"
                " sqlite:////absolute/file.db or postgresql://user:password@host/database"
            )
        return Path(path[1:])

    @property
    def issuers(self) -> tuple[OidcIssuer, ...]:
        """The trusted issuers: OIDC_ISSUER's URLs, each with OIDC_AUDIENCE's audiences (both comma separated)."""
        urls, audiences = _listed(self.oidc_issuer), _listed(self.oidc_audience)
        if urls and not audiences:
            raise SettingsError(
                "OIDC_AUDIENCE is missing: name the audience that tokens of the issuer must be for, or tokens made"
                " for other services would open this one"
            )
        return tuple(OidcIssuer(url, audiences) for url in urls)

    @property
    def signs_in_at_issuer(self) -> bool:
        """Whether people sign in to the pages at the first issuer, where we are the client OIDC_CLIENT_ID."""
        if not self.oidc_client_id and (self.oidc_client_secret or self.oidc_provider_name):
            raise SettingsError("OIDC_CLIENT_ID is missing: give the client id that the issuer knows this service by")
        if self.oidc_client_id and not self.issuers:
            raise SettingsError("OIDC_ISSUER is missing: OIDC_CLIENT_ID names this service to an issuer")
        return bool(self.oidc_client_id)

    @property
    def offers_codes(self) -> bool:
        """Whether people sign in to the pages by codes: not where an issuer is trusted, which says who has an account.

        Nor where there is no way to hand them over: SMTP, or in development the log, which is refused where PUBLIC_URL
        leads others here.
        """
        if self.sign_in_codes not in ("on", "off"):
            raise SettingsError(f"SIGN_IN_CODES {self.sign_in_codes!r} must be on or off")
        if self.sign_in_codes == "off" or self.issuers or not (self.smtp_url or self.is_development):
            return False
        public_host = urlsplit(self.public_base).hostname if self.public_url else None
        if public_host and not self.smtp_url and not is_this_machine(public_host):
            raise SettingsError(
                f"DEVELOPMENT is for a machine of your own, and PUBLIC_URL {self.public_url!r} isn't one: whoever reads"
                " the log could sign in as anybody. Set SMTP_URL, which mails the codes, or leave DEVELOPMENT out"
            )
        return True

    @property
    def is_development(self) -> bool:
        """Whether this is somebody's own machine, where the log may show codes to sign in with."""
        if self.development not in ("", "0", "1"):
            raise SettingsError(f"DEVELOPMENT {self.development!r} must be 1 or 0")
        return self.development == "1"

    @property
    def session_life_days(self) -> int:
        """How many days a session lasts."""
        return _whole_number(self.session_days, "SESSION_DAYS", 366)

    @property
    def most_members(self) -> int | None:
        """How many active members an organization has at most; None for as many as there come."""
        return _whole_number(self.max_members, "MAX_MEMBERS", 10**9) if self.max_members else None

    @property
    def rates(self) -> dict[str, Rate | None]:
        """The limits by name: the defaults, and over them what LIMITS says; None is no limit."""
        rates = _rates(DEFAULT_LIMITS)
        if self.limits.strip() == "off":
            return dict.fromkeys(rates)
        given = _rates(self.limits)
        unknown = sorted(given.keys() - rates.keys())
        if unknown:
            raise SettingsError(f"LIMITS has {unknown[0]!r}, which is no limit; there are {', '.join(rates)}")
        return rates | given

    @property
    def proxies(self) -> int:
        """How many proxies of the operator's stand between clients and this server."""
        text = self.trusted_proxies
        if not (text.isascii() and text.isdigit() and int(text) < 100):
            raise SettingsError(
                f"TRUSTED_PROXIES {text!r} must be the number of your own proxies in front of the server, 0 to 99"
            )
        return int(text)

    @property
    def public_base(self) -> str:
        """Where people reach this service: PUBLIC_URL without a slash at its end; links in mails lead there."""
        try:
            url = urlsplit(self.public_url)
            right = url.scheme in ("http", "https") and url.hostname and url.port != 0 and "@" not in url.netloc
        except ValueError:
            right = False
        if not right or set(self.public_url) & set("?#\\ ") or not self.public_url.isascii():
            raise SettingsError(
                f"PUBLIC_URL {self.public_url!r} can't be used; write where people reach this service, like"
                " https://organizations.example.com"
            )
        return self.public_url.rstrip("/")

    @property
    def allowed_redirects(self) -> tuple[str, ...]:
        """The origins to which people may be sent after accepting, by commas."""
        return _origins(self.redirect_origins, "REDIRECT_ORIGINS")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The browser origins whose pages may call: `https://app.example.com`, comma separated."""
        return _origins(self.cors_origins, "CORS_ORIGINS")

    def secret_keys(self) -> tuple[bytes, ...]:
        """Give the keys, the newest first: SECRET_KEY, or the lines of the key file.

        With SQLite and neither, a key file is made beside the database, readable by its owner alone; but not where the
        database exists already: its links were made with a key that must be somewhere.
        """
        if self.secret_key:
            return _keys(self.secret_key.split(","), "SECRET_KEY")
        if self.is_postgres and not self.secret_key_file:
            raise SettingsError(
                "SECRET_KEY or --secret-key-file is missing: all servers on one PostgreSQL database need the same keys;"
                " make one with: openssl rand -hex 32"
            )
        path = Path(self.secret_key_file) if self.secret_key_file else self.sqlite_path.with_suffix(".key")
        # In this order: a key file is made before its database, also by a process that starts at the same time. And not
        # by Path.exists, which raises for a name that is too long.
        kept = not self.secret_key_file and os.path.exists(self.sqlite_path)
        if not self.secret_key_file and not os.path.exists(path):
            if kept:
                raise SettingsError(
                    f"the key file {path} is missing, and the database was made with one: put it back. Or make another"
                    " with: openssl rand -hex 32; links made before then go on working, but can't be shown again"
                )
            _make_key_file(path)
        try:
            return _keys(path.read_text(encoding="ascii").splitlines(), str(path))
        except (OSError, UnicodeError) as error:
            raise SettingsError(f"the key file {path} can't be read: {error}") from error


def _whole_number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 0 < int(text) <= most):
        raise SettingsError(f"{name} {text!r} must be a whole number from 1 to {most}")
    return int(text)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _rates(text: str) -> dict[str, Rate | None]:
    rates: dict[str, Rate | None] = {}
    for part in text.split():
        name, _, written = part.partition("=")
        match = _RATE.fullmatch(written)
        count, seconds = (int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]) if match else (0, 0)
        if written in ("off", "0"):
            rates[name] = None
        elif count and seconds:
            rates[name] = Rate(count, seconds)
        else:
            raise SettingsError(
                f"LIMITS has {part!r}; write name=count/span like caller=600/1m or guesses=30/10s, or name=off; one"
                " space between two"
            )
    return rates


def _split(url: str) -> SplitResult:
    """Give the parts of a URL; of what is none, empty ones."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _origins(text: str, name: str) -> tuple[str, ...]:
    origins = _listed(text)
    for origin in origins:
        parts = _split(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise SettingsError(
                f"{name} has {origin!r}, which is no origin; write https://host or https://host:port without a path"
            )
    return origins


def _keys(texts: list[str], source: str) -> tuple[bytes, ...]:
    keys = tuple(text.strip().encode() for text in texts if text.strip())
    if not keys or any(len(key) < KEY_BYTES for key in keys):
        raise SettingsError(
            f"{source} needs at least one key and every key at least {KEY_BYTES} characters; make one with:"
            " openssl rand -hex 32"
        )
    return keys


def _make_key_file(path: Path) -> None:
    try:
        make_directory(path.parent)
        # Linked into place whole, so that another process that starts at once reads all of it or makes it itself.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
            sync_directory(path.parent)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise SettingsError(f"the key file {path} can't be made: {error}") from error
