"""The real server with one of the safeguards of its edge taken out. What holds with it must fail without.

`python -m tests.faults.unguarded_server NAME serve …` is the command line with Envoy's configuration changed so.
`HEAP_MIB` in the environment has its memory end there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from server import serve

Config = dict[str, Any]
Removing = Callable[[Config, Config], None]

REMOVING: dict[str, Removing] = {}
"""What takes a safeguard out of the whole configuration, of which the second is the part on HTTP, by name."""


def removing(remove: Removing) -> Removing:
    REMOVING[remove.__name__] = remove
    return remove


def _without_filter(http: Config, name: str) -> None:
    kept = [each for each in http["http_filters"] if each["name"] != f"envoy.filters.http.{name}"]
    assert len(kept) == len(http["http_filters"]) - 1
    http["http_filters"] = kept


def _listener(config: Config) -> Config:
    listener: Config = config["static_resources"]["listeners"][0]
    return listener


def _limits(config: Config) -> Config:
    limits: Config = config["layered_runtime"]["layers"][0]["static_layer"]
    return limits


@removing
def nothing(config: Config, http: Config) -> None:
    pass


@removing
def whole_body(config: Config, http: Config) -> None:
    _without_filter(http, "buffer")


@removing
def most_streams(config: Config, http: Config) -> None:
    del http["http2_protocol_options"]["max_concurrent_streams"]


@removing
def judged_streams(config: Config, http: Config) -> None:
    _limits(config)["overload.premature_reset_total_stream_count"] = 10**9


@removing
def unread_bytes(config: Config, http: Config) -> None:
    _listener(config)["per_connection_buffer_limit_bytes"] = 64 * 1024


@removing
def overload_actions(config: Config, http: Config) -> None:
    del config["overload_manager"]["actions"]


@removing
def shorter_timeouts(config: Config, http: Config) -> None:
    actions = config["overload_manager"]["actions"]
    config["overload_manager"]["actions"] = [each for each in actions if not each["name"].endswith("reduce_timeouts")]


def main() -> None:
    """Run the command line."""
    from server.cli import main as cli

    remove, heap = REMOVING[sys.argv.pop(1)], os.environ.get("HEAP_MIB")
    configured = serve.Server.get_envoy_config

    def changed(self: serve.Server) -> Config:
        config = configured(self)
        if heap:
            bounded = config["overload_manager"]["resource_monitors"][0]["typed_config"]
            bounded["max_heap_size_bytes"] = int(heap) * 1024 * 1024
        for chain in _listener(config)["filter_chains"]:
            for each in chain["filters"]:
                remove(config, each["typed_config"])
        return config

    serve.Server.get_envoy_config = changed  # type: ignore[method-assign]
    cli()


if __name__ == "__main__":
    main()
