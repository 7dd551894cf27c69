"""Copies a SQLite file whole, while it is written too: what `backup` and `restore` do.

The copy is made beside its destination, checked there, and takes its name only when it is right and on disk. It is
one file, without a WAL, readable by its owner alone.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from server.files import sync_directory
from server.store.migrations import MIGRATIONS
from server.store.sqlite import require_safe_version, sqlite3

PAGES_AT_ONCE = 2560
"""How many pages lie between two reports of progress: 10 MiB."""

_BUSY_SECONDS = 5.0
_SIDE_FILES = ("-wal", "-shm", "-journal")

Report = Callable[[str, int, int], None]
"""Is told what is done, how much of it, and how much there is."""


class BackupError(Exception):
    """The file can't be copied, or isn't right; the text says why and what to do."""


def back_up(source: Path, destination: Path, report: Report) -> dict[str, int]:
    """Copy a database file that may be in use; give how many rows each table has in the copy.

    The copy holds what was committed at one moment; writers go on meanwhile.
    """
    return _guarded(source, destination, report, check_source=False)


def restore(backup: Path, destination: Path, report: Report) -> dict[str, int]:
    """Copy a backup to where a database is to be, and check it before and after; give its tables' rows."""
    return _guarded(backup, destination, report, check_source=True)


def _guarded(source: Path, destination: Path, report: Report, *, check_source: bool) -> dict[str, int]:
    require_safe_version(sqlite3.sqlite_version_info)
    if not source.is_file():
        raise BackupError(f"there is no database file {source}")
    _require_free(destination)
    try:
        return _copy(source, destination, report, check_source=check_source)
    except sqlite3.Error as error:
        raise BackupError(f"{source} can't be copied to {destination}: {error}") from error
    except FileExistsError as error:
        raise BackupError(_taken(destination)) from error
    except OSError as error:
        raise BackupError(f"{destination} can't be written: {error.strerror or error}") from error


def _taken(path: Path) -> str:
    return f"{path} exists already, and nothing is ever overwritten; move it away or name another file"


def _require_free(destination: Path) -> None:
    if os.path.lexists(destination):
        raise BackupError(_taken(destination))
    for suffix in _SIDE_FILES:
        side = destination.with_name(destination.name + suffix)
        if os.path.lexists(side):
            raise BackupError(
                f"{side} is left of another database, and would be taken for a part of this one; if no server runs on"
                " it, move it away"
            )
    if not destination.parent.is_dir():
        raise BackupError(f"there is no directory {destination.parent}; make it first")


def _copy(source: Path, destination: Path, report: Report, *, check_source: bool) -> dict[str, int]:
    draft = destination.with_name(f".{destination.name}.{secrets.token_hex(8)}.part")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_open(source)) as reading:
            if check_source:
                report(f"checking {source}", 0, 0)
                _require_sound(reading, source)
            else:
                _require_ours(reading, source)
            reading.execute("BEGIN")
            # Counting begins to read, and so fixes the moment that the copy is of: within a transaction that reads,
            # what others commit neither shows nor lets the copy begin again.
            expected = _counts(reading)
            _copy_pages(reading, draft, report)
        report(f"checking {destination}", 0, 0)
        with closing(_open(draft)) as copied:
            _require_sound(copied, destination)
            counts = _counts(copied)
        if counts != expected:
            raise BackupError(f"{destination} would have other rows than {source}; nothing was kept")
        _publish(draft, destination)
    finally:
        for suffix in ("", *_SIDE_FILES):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return counts


def _open(path: Path) -> Any:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _copy_pages(reading: Any, draft: Path, report: Report) -> None:
    with closing(_open(draft)) as writing:

        def progress(_status: int, remaining: int, total: int) -> None:
            report("pages", total - remaining, total)

        reading.backup(writing, pages=PAGES_AT_ONCE, progress=progress)
        # The copy says that it has a WAL, as its source does; a file that stands for itself has none.
        writing.execute("PRAGMA journal_mode = DELETE").fetchall()


def _require_ours(db: Any, path: Path) -> None:
    known = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'").fetchone()
    if known is None:
        raise BackupError(f"{path} is no database of this service")
    version = db.execute("SELECT max(version) FROM schema_migrations").fetchone()[0] or 0
    if version > len(MIGRATIONS):
        raise BackupError(
            f"{path} has schema version {version} and this program knows {len(MIGRATIONS)}; use the program that wrote"
            " it, or a newer one"
        )


def _require_sound(db: Any, path: Path) -> None:
    try:
        found = " ".join(db.execute("PRAGMA integrity_check(1)").fetchone()[0].split())
    except sqlite3.DatabaseError as error:
        # Damaged so that it can't even be checked.
        if not str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise
        found = str(error)
    if found != "ok":
        raise BackupError(f"{path} is damaged ({found}); use an older backup")
    _require_ours(db, path)
    broken = db.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise BackupError(
            f"{path} is damaged (a row of {broken[0]} refers to none of {broken[2]}); use an older backup"
        )


def _counts(db: Any) -> dict[str, int]:
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {
        name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in names
        if not name.startswith("sqlite_")
    }


def _publish(draft: Path, destination: Path) -> None:
    """Give the copy its name, when it is on disk and the name is still free."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(draft, destination)
    except OSError as error:
        # Some file systems, like those of memory sticks, know no links.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        _require_free(destination)
        draft.rename(destination)
    sync_directory(destination.parent)
