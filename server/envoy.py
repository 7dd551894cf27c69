"""What of Envoy's configuration says how much is let in, and what Envoy answers by itself to what isn't."""

from __future__ import annotations

import base64
import io
import resource
from collections.abc import Callable
from typing import Any

from server.domain.errors import OVERLOADED, REQUEST_TOO_LARGE, REQUEST_TOO_SLOW, ServiceError
from server.edge import RETRY_SECONDS
from server.faces.connect import READ_MAX_BYTES
from server.faces.exchange import Exchange, current_exchange
from server.faces.refusing import RefusingApplication

Config = dict[str, Any]

TYPES = "type.googleapis.com/envoy.extensions"

MOST_BODY_BYTES = READ_MAX_BYTES + 1024
"""How much of a body is received at most: the largest message, and what frames it."""

REQUEST_SECONDS = 60
"""How long a client may take to send a request."""

MOST_REQUESTS = 2000
"""How many requests are under way at most, for each process: those that wait for a thread, and those that have one."""

MOST_STREAMS = 100
"""How many requests a connection of HTTP/2 may have under way: as few as its specification thinks wise."""

REQUESTS_IN_TURN = 4
"""How many requests of a connection are begun before the others have their turn."""

ACCEPTED_IN_TURN = 1
"""How many connections are accepted before those that are there have their turn."""

BACKLOG = 128
"""How many connections wait to be accepted. One more has to knock again, after a second; in a longer queue the last
would wait longer than that, where each before it does its worst."""

JUDGED_STREAMS = 3 * MOST_STREAMS
"""Of how many streams a client may have reset half, each within a second, before its connection is closed. All that are
under way may miss a deadline at once: that mustn't cost a client its other calls."""

UNREAD_FRAMES = 2000
"""How many frames of HTTP/2 a client may leave unread before its connection is closed."""

UNREAD_BYTES = UNREAD_FRAMES * 16 * 1024
"""How much a client may leave unread before threads with answers for it wait: more than the frames can hold, so that
no thread ever does."""

KEPT_DESCRIPTORS = 500
"""Files that a process may need open beside its connections."""

HEAP_BYTES = 1024 * 1024 * 1024
"""How much memory connections and what they send may take, for each process."""


def http_filter(name: str, settings: Config, kind: str = "") -> Config:
    """Give the entry of one of Envoy's own HTTP filters: `cors` with its `Cors`."""
    message = kind or "".join(word.capitalize() for word in name.split("_"))
    type_url = f"{TYPES}.filters.http.{name}.v3.{message}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": type_url, **settings}}


def whole_body() -> Config:
    """Have a request's body before a thread is given to it: a thread would wait for a client as long as it likes."""
    return http_filter("buffer", {"max_request_bytes": MOST_BODY_BYTES})


def most_requests() -> Config:
    """Refuse requests (503) while so many are under way: those beyond would only wait for a thread.

    The filter would find the number by itself from how long answers take; here it is one number.
    """
    never = "86400s"
    return http_filter(
        "adaptive_concurrency",
        {
            "gradient_controller_config": {
                "concurrency_limit_params": {
                    "max_concurrency_limit": MOST_REQUESTS,
                    "concurrency_update_interval": never,
                },
                "min_rtt_calc_params": {"interval": never, "min_concurrency": MOST_REQUESTS},
            }
        },
    )


def without(*filters: str) -> Config:
    """Give what turns some of Envoy's HTTP filters off for a route."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    return {f"envoy.filters.http.{name}": off for name in filters}


def limit_connections(listener: Config) -> None:
    """Let nobody who opens connections, or leaves answers unread, take the time of those who are connected."""
    listener["per_connection_buffer_limit_bytes"] = UNREAD_BYTES
    listener["max_connections_to_accept_per_socket_event"] = ACCEPTED_IN_TURN
    listener["tcp_backlog_size"] = BACKLOG


def runtime() -> Config:
    """Give the limits of Envoy's that it takes from its runtime alone."""
    limits = {
        "http.max_requests_per_io_cycle": REQUESTS_IN_TURN,
        "overload.premature_reset_total_stream_count": JUDGED_STREAMS,
    }
    return {"layers": [{"name": "limits", "static_layer": limits}]}


def overload_manager() -> Config:
    """Give Envoy's defence of its memory: let go of answers that aren't read, and refuse requests, before it runs out.

    Streams that hold most are reset whenever the pressure has changed, 50 at most, so that the range in which it may
    change is wide and looked at often. What is left of them ends by time: the fuller, the sooner.
    """
    monitors = f"{TYPES}.resource_monitors"
    heap = "envoy.resource_monitors.fixed_heap"

    def at(share: float) -> list[Config]:
        return [{"name": heap, "threshold": {"value": share}}]

    def between(least: float, most: float) -> list[Config]:
        return [{"name": heap, "scaled": {"scaling_threshold": least, "saturation_threshold": most}}]

    return {
        "refresh_interval": "0.1s",
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 15},
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": {
                    "@type": f"{monitors}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": HEAP_BYTES,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": most_connections(),
                },
            },
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.8)},
            {"name": "envoy.overload_actions.disable_http_keepalive", "triggers": at(0.85)},
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": between(0.6, 0.8),
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
                    "timer_scale_factors": [{"timer": "HTTP_DOWNSTREAM_STREAM_FLUSH", "min_timeout": "1s"}],
                },
            },
            {"name": "envoy.overload_actions.reset_high_memory_stream", "triggers": between(0.6, 0.95)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.95)},
            {"name": "envoy.overload_actions.stop_accepting_connections", "triggers": at(0.98)},
        ],
    }


def most_connections() -> int:
    """Give how many connections a process takes: as many as the system lets it have files (`ulimit -Hn`)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(hard - KEPT_DESCRIPTORS, hard // 2)


def local_replies() -> Config:
    """Give what Envoy says of requests that it doesn't let in, as callers of RPCs understand it."""
    refusals = {
        408: ServiceError(REQUEST_TOO_SLOW, {"seconds": str(REQUEST_SECONDS)}),
        413: ServiceError(REQUEST_TOO_LARGE, {"limit_bytes": str(READ_MAX_BYTES)}),
        503: ServiceError(OVERLOADED, retry_after_seconds=RETRY_SECONDS),
    }
    # The first that fits counts: the longer content types stand before what they begin with.
    spoken_to = {
        "application/grpc-web+json": "application/grpc-web+json",
        "application/grpc-web": "application/grpc-web+proto",
        "application/grpc": "application/grpc",
        "": "application/json",
    }
    return {"mappers": [_mapper(*refused, *types) for refused in refusals.items() for types in spoken_to.items()]}


def _mapper(status: int, refusal: ServiceError, content_type: str, spoken_type: str) -> Config:
    """Say a refusal instead of Envoy's own words, to requests whose content type begins so."""
    spoken, headers, body = _spoken(refusal, spoken_type)
    value = {"default_value": status, "runtime_key": "organization_service.never_set"}
    conditions: list[Config] = [{"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}]
    if content_type:
        begins = {"name": "content-type", "string_match": {"prefix": content_type}}
        conditions.append({"header_filter": {"header": begins}})
    return {
        "filter": {"and_filter": {"filters": conditions}} if content_type else conditions[0],
        "status_code": spoken,
        "headers_to_add": [
            # Percent signs begin what Envoy fills in.
            {"header": {"key": name, "value": text.replace("%", "%%")}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, text in headers.items()
        ],
        "body": {"inline_bytes": base64.b64encode(body).decode()},
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": headers["content-type"],
        },
    }


def _spoken(refusal: ServiceError, content_type: str) -> tuple[int, dict[str, str], bytes]:
    """Give a refusal's status, headers (with the trailers, for nothing comes between) and body, as it is said."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    trailers: list[tuple[str, str]] = []
    environ: Config = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/any.Service/Method",
        "QUERY_STRING": "",
        "CONTENT_TYPE": content_type,
        "wsgi.input": io.BytesIO(),
        "wsgi.ext.http.send_trailers": trailers.extend,
    }

    def start(status: str, headers: list[tuple[str, str]], *_rest: Any) -> Callable[[bytes], object]:
        begun.append((status, headers))
        return len

    exchange = Exchange("")
    token = current_exchange.set(exchange)
    try:
        body = b"".join(RefusingApplication(lambda _method: refusal)(environ, start))
    finally:
        current_exchange.reset(token)
    status, headers = begun[0]
    said = {name.lower(): value for name, value in [*headers, *trailers, *exchange.hints()]}
    return int(status[:3]), said, body
