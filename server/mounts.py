"""What the server mounts, made once in its process from the environment (`serve.py` sets it)."""

from __future__ import annotations

import atexit
import gc
import os
import threading
from functools import partial

from connectrpc_grpcreflect import (
    ServerReflectionAlphaASGIApplication,
    ServerReflectionAlphaService,
    ServerReflectionASGIApplication,
    ServerReflectionService,
)

from server.background import Background, attempt
from server.domain.secrets import SecretKeys
from server.handover import whole_answers
from server.logs import configure_logs
from server.main import (
    build_outbox,
    build_service,
    build_sign_in_mails,
    invitation_policy,
    open_store,
    sign_in_options,
    token_verifier,
    utc_now,
)
from server.service.limits import Limits
from server.service.outbox import forget_old
from server.settings import Settings
from server.wires import REFLECTED, build_edge

_settings = Settings.from_environ(os.environ)
_tell = configure_logs(_settings.log_format, _settings.log_level)

LAST_USED_EVERY_SECONDS = 30.0
SEND_EVERY_SECONDS = 1.0
FORGET_EVERY_SECONDS = 600.0
RENEW_EVERY_SECONDS = 60.0
STOPPING_SECONDS = 5.0
"""How long a mail that is being sent may still take when the server stops; it would be sent again otherwise."""

_keys = SecretKeys(_settings.secret_keys())
_store = open_store(_settings)
_code_waits = threading.Event()
_verifier = token_verifier(_settings)
_service = build_service(
    _store,
    _keys,
    verifier=_verifier,
    policy=invitation_policy(_settings),
    sign_in=sign_in_options(_settings, _verifier, _code_waits.set),
)
_outbox = build_outbox(_settings, _store, _keys)
_sign_in_mails = build_sign_in_mails(_settings, _store, _keys)

_public_url = _settings.public_base if _settings.public_url else ""
_edge = build_edge(
    _service,
    public_url=_public_url,
    sends_mail=_outbox is not None,
    limits=Limits(_settings.rates),
    tell=_tell,
)
wsgi = whole_answers(_edge)
reflection = ServerReflectionASGIApplication(ServerReflectionService(*REFLECTED))
reflection_alpha = ServerReflectionAlphaASGIApplication(ServerReflectionAlphaService(*REFLECTED))


_background = Background()
_last_used = (_service.authentication.write_last_used, "times of last use were not written")
_background.every(LAST_USED_EVERY_SECONDS, *_last_used)
_background.every(FORGET_EVERY_SECONDS, _service.idempotency.forget_old, "old idempotency keys were not removed")
_background.every(FORGET_EVERY_SECONDS, _service.sessions.forget_old, "old sessions were not removed")
_background.every(FORGET_EVERY_SECONDS, _service.sign_in.forget_old, "old codes to sign in were not removed")
_background.every(FORGET_EVERY_SECONDS, _service.invitations.forget_limit_uses, "old uses of limits were not removed")
_background.every(FORGET_EVERY_SECONDS, partial(forget_old, _store, utc_now), "old mails were not removed")
if _verifier is not None:
    _background.every(RENEW_EVERY_SECONDS, _verifier.renew_keys, "keys of issuers were not fetched")
if _outbox is not None:
    send_due = partial(_outbox.send_due, _background.stopping.is_set)
    _background.every(SEND_EVERY_SECONDS, send_due, "mails were not sent")

if _sign_in_mails is not None:
    send_codes = partial(_sign_in_mails.send_due, _background.stopping.is_set)
    _background.every(SEND_EVERY_SECONDS, send_codes, "codes to sign in were not sent", _code_waits)


@atexit.register
def _close() -> None:
    _background.stop(STOPPING_SECONDS)
    attempt(*_last_used)
    _store.close()


# What was made so far stays: the collector needn't look at it again, which takes tens of milliseconds each time.
gc.collect()
gc.freeze()
