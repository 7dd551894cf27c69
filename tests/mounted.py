"""The real server with what it mounts taken from a module of the tests."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from server import serve


def run_with(module: str) -> None:
    """Run the command line; its server's own processes import `module` where `server.mounts` would be.

    The module changes what it likes and then gives `wsgi`, `reflection` and `reflection_alpha` as `server.mounts` has
    them.
    """
    from server.cli import main

    there = [replace(each, app=each.app.replace("server.mounts", module)) for each in serve.MOUNTS]
    serve.Server = partial(serve.Server, mounts=there)  # type: ignore[assignment,misc]
    main()
