"""The commands for a database as a whole: `migrate`, `copy`, `backup` and `restore`.

None of them needs a server, and none writes into a database that isn't named as what is written.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from server.main import utc_now
from server.settings import Settings, SettingsError
from server.store import backup as backups
from server.store import copying
from server.store.migrations import MIGRATIONS
from server.store.sql_store import StoreSetupError

Command = TypeVar("Command", bound=Callable[..., Any])

PROGRESS_EVERY_SECONDS = 1.0


def _plain_mistakes(command: Callable[..., None]) -> Callable[..., None]:
    """End a command with one sentence and exit code 2 when it can't do its work."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except (SettingsError, StoreSetupError, copying.CopyError, backups.BackupError) as error:
            click.echo(f"organization-service: {error}", err=True)
            sys.exit(2)

    return run


_database_url = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    default=Settings().database_url,
    show_default=True,
    help="sqlite:///relative.db, sqlite:////absolute/file.db or postgresql://….",
)


class _Progress:
    """Says on standard error how far something is, now and then and at the end of each part."""

    def __init__(self) -> None:
        self._said = 0.0
        self._part = ""

    def __call__(self, part: str, done: int, total: int) -> None:
        now = time.monotonic()
        if part == self._part and done < total and now - self._said < PROGRESS_EVERY_SECONDS:
            return
        self._said, self._part = now, part
        share = f": {done:,} of {total:,} ({100 * done // total}%)" if total else ""
        click.echo(part + share, err=True)


def _settings_of(url: str, option: str) -> Settings:
    settings = Settings.from_environ(os.environ | {"DATABASE_URL": url})
    if not settings.is_postgres:
        try:
            _ = settings.sqlite_path
        except SettingsError as error:
            raise SettingsError(str(error).replace("DATABASE_URL", option)) from error
    return settings


def _end(settings: Settings, *, make: bool = False) -> copying.End:
    with copying.plain_errors():
        if settings.is_postgres:
            return copying.PostgresEnd(settings.database_url)
        return copying.SqliteEnd(settings.sqlite_path, make=make)


@click.command("migrate")
@_database_url
@click.option("--show", "--dry-run", "show", is_flag=True, help="List applied and pending migrations, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --show: print JSON.")
@_plain_mistakes
def migrate_command(database_url: str, *, show: bool, as_json: bool) -> None:
    """Bring the database's schema up to date, or show what that would do.

    A server does the same when it starts. The history is one for SQLite and PostgreSQL.
    """
    settings = _settings_of(database_url, "--database-url")
    if show:
        _show_history(settings, as_json=as_json)
        return
    with closing(_end(settings, make=True)) as end, copying.plain_errors():
        taken = end.migrate(utc_now)
    for name in taken:
        click.echo(f"applied {name}")
    click.echo(f"the schema has version {len(MIGRATIONS)}{'' if taken else ', as before'}", err=True)


def _show_history(settings: Settings, *, as_json: bool) -> None:
    applied: list[copying.Step] = []
    if settings.is_postgres or os.path.exists(settings.sqlite_path):
        with closing(_end(settings)) as end, copying.plain_errors():
            applied = end.applied()
    steps: list[dict[str, Any]] = [
        {"version": step.version, "name": step.name, "applied_at": step.applied_at.isoformat()} for step in applied
    ]
    for version, migration in enumerate(MIGRATIONS[len(applied) :], start=len(applied) + 1):
        steps.append({"version": version, "name": migration.name, "applied_at": None})
    if as_json:
        click.echo(json.dumps(steps, indent=2))
        return
    for step in steps:
        state = f"applied {step['applied_at']}" if step["applied_at"] else "pending"
        click.echo(f"{step['version']}  {step['name']}  {state}")


@click.command("copy")
@click.option("--from", "from_url", required=True, help="The database to read: sqlite:///… or postgresql://….")
@click.option("--to", "to_url", required=True, help="The database to fill: an empty one, or a copy under way.")
@_plain_mistakes
def copy_command(from_url: str, to_url: str) -> None:
    """Copy everything into an empty database, of the same or the other engine, and check it.

    Stop the servers first. When it is interrupted, run it again: it goes on where it stopped. At the end it prints
    each table with its rows and a checksum, which are the same in both databases.
    """
    source_settings, target_settings = _settings_of(from_url, "--from"), _settings_of(to_url, "--to")
    with (
        closing(_end(source_settings)) as source,
        closing(_end(target_settings, make=True)) as target,
    ):
        compared = copying.copy(source, target, utc_now, _Progress())
    for name, contents in compared.items():
        click.echo(f"{name}  {contents.rows}  {contents.checksum}")
    click.echo("the copy is complete: both databases hold the same", err=True)
    click.echo(f"servers on the copy need the same key: {_key_place(source_settings)}", err=True)


@click.command("backup")
@click.argument("destination", type=click.Path(path_type=Path))
@_database_url
@_plain_mistakes
def backup_command(destination: Path, database_url: str) -> None:
    """Copy the SQLite database to a new file and check it; servers may go on writing meanwhile."""
    settings = _sqlite_settings(database_url, "backed up")
    rows = backups.back_up(settings.sqlite_path, destination, _Progress())
    _say_contents(destination, rows)
    click.echo(
        f"the key is not in the backup, so that a stolen one admits nobody: keep {_key_place(settings)} in another"
        " place. Without it a restored service can't show its links, send mails that wait or repeat answers.",
        err=True,
    )


@click.command("restore")
@click.argument("backup", type=click.Path(path_type=Path))
@_database_url
@_plain_mistakes
def restore_command(backup: Path, database_url: str) -> None:
    """Make the SQLite database of a backup, where there is none; it is checked before and after."""
    settings = _sqlite_settings(database_url, "restored")
    rows = backups.restore(backup, settings.sqlite_path, _Progress())
    _say_contents(settings.sqlite_path, rows)
    click.echo(f"servers on it need the key that belongs to it: {_key_place(settings)}", err=True)


def _sqlite_settings(url: str, done: str) -> Settings:
    settings = _settings_of(url, "--database-url")
    if settings.is_postgres:
        raise SettingsError(
            f"a PostgreSQL database is {done} by its own tools: pg_dump and pg_restore, or your provider's snapshots"
        )
    return settings


def _key_place(settings: Settings) -> str:
    """Say where the keys of a database are."""
    if settings.secret_key:
        return "SECRET_KEY"
    if settings.secret_key_file or settings.is_postgres:
        return settings.secret_key_file or "SECRET_KEY"
    return str(settings.sqlite_path.with_suffix(".key"))


def _say_contents(path: Path, rows: dict[str, int]) -> None:
    kept = ", ".join(f"{rows[name]:,} {name}" for name in ("organizations", "members", "accounts") if name in rows)
    click.echo(f"{path} is complete and checked: {kept}", err=True)


COMMANDS = {str(command.name): command for command in (migrate_command, copy_command, backup_command, restore_command)}
