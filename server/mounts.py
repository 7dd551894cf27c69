"""What the server mounts, made once in its process from the environment (`serve.py` sets it)."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from functools import partial

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
    build_outbox,
    build_service,
    every,
    invitation_policy,
    open_store,
    token_verifier,
)
from server.settings import Settings

_settings = Settings.from_environ(os.environ)
configure_logs(_settings.log_format, _settings.log_level)
log = logging.getLogger(__name__)

SEND_EVERY_SECONDS = 1.0
FORGET_EVERY_SECONDS = 600.0
STOPPING_SECONDS = 5.0
"""How long a mail that is being sent may still take when the server stops; it would be sent again otherwise."""

_store = open_store(_settings)
_keys = SecretKeys(_settings.secret_keys())
_service = build_service(_store, _keys, verifier=token_verifier(_settings), policy=invitation_policy(_settings))
_outbox = build_outbox(_settings, _store, _keys)

_public_url = _settings.public_base if _settings.public_url else ""
wsgi = build_edge(_service, public_url=_public_url, sends_mail=_outbox is not None)
reflection = ServerReflectionASGIApplication(ServerReflectionService(*REFLECTED))
reflection_alpha = ServerReflectionAlphaASGIApplication(ServerReflectionAlphaService(*REFLECTED))


def _every(seconds: float, work: Callable[[], object], failed: str) -> threading.Thread:
    """Do work now and then; what goes wrong is logged and tried again the next time."""

    def attempt() -> None:
        try:
            work()
        except ServiceError as error:
            log.warning("%s: %s", failed, error)
        except Exception:
            log.exception(failed)

    return every(seconds, attempt, _stopped)


def _write_last_used() -> None:
    try:
        _service.authentication.write_last_used()
    except ServiceError as error:
        log.warning("times of last use were not written: %s", error)


_stopped = threading.Event()
every(LAST_USED_EVERY_SECONDS, _write_last_used, _stopped)
_every(FORGET_EVERY_SECONDS, _service.idempotency.forget_old, "old idempotency keys were not removed")
_sending = None
if _outbox is not None:
    _send_due = partial(_outbox.send_due, _stopped.is_set)
    _sending = _every(SEND_EVERY_SECONDS, _send_due, "mails were not sent")


@atexit.register
def _close() -> None:
    _stopped.set()
    if _sending is not None:
        _sending.join(STOPPING_SECONDS)
    _write_last_used()
    _store.close()
