"""What the server mounts, made once in its process from the environment (`serve.py` sets it)."""

from __future__ import annotations

import atexit
import logging
import os
import threading

from connectrpc_grpcreflect import (
    ServerReflectionAlphaASGIApplication,
    ServerReflectionAlphaService,
    ServerReflectionASGIApplication,
    ServerReflectionService,
)

from server.domain.errors import ServiceError
from server.domain.secrets import SecretKeys
from server.logs import configure_logs
from server.main import (
    LAST_USED_EVERY_SECONDS,
    REFLECTED,
    build_edge,
    build_service,
    every,
    open_store,
    token_verifier,
)
from server.settings import Settings

_settings = Settings.from_environ(os.environ)
configure_logs(_settings.log_format, _settings.log_level)
log = logging.getLogger(__name__)

_store = open_store(_settings)
_service = build_service(_store, SecretKeys(_settings.secret_keys()), verifier=token_verifier(_settings))

wsgi = build_edge(_service)
reflection = ServerReflectionASGIApplication(ServerReflectionService(*REFLECTED))
reflection_alpha = ServerReflectionAlphaASGIApplication(ServerReflectionAlphaService(*REFLECTED))


def _write_last_used() -> None:
    try:
        _service.authentication.write_last_used()
    except ServiceError as error:
        log.warning("times of last use were not written: %s", error)


_stopped = threading.Event()
every(LAST_USED_EVERY_SECONDS, _write_last_used, _stopped)


@atexit.register
def _close() -> None:
    _stopped.set()
    _write_last_used()
    _store.close()
