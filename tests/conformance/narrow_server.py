"""The real server with a limit that is reached at once, so that Envoy answers by itself.

`python -m tests.conformance.narrow_server LIMIT serve …` is the command line: with `time` a request must arrive within
a second, with `memory` there is none left, so that no request is accepted.
"""

from __future__ import annotations

import sys

from server import envoy

_ACCEPTING = "envoy.overload_actions.stop_accepting_requests"


def _without_memory() -> envoy.Config:
    """Refuse requests, and do nothing else of what is done before memory runs out."""
    manager = _overload_manager()
    manager["actions"] = [action for action in manager["actions"] if action["name"] == _ACCEPTING]
    assert len(manager["actions"]) == 1
    return manager


_overload_manager = envoy.overload_manager


def main() -> None:
    """Run the command line."""
    limit = sys.argv.pop(1)
    assert limit in ("time", "memory")
    if limit == "time":
        envoy.REQUEST_SECONDS = 1
    else:
        envoy.HEAP_BYTES = 1024 * 1024
        envoy.overload_manager = _without_memory
    # Last, since what configures the server takes the limits over when it is imported.
    from server.cli import main as cli

    cli()


if __name__ == "__main__":
    main()
