"""Structured logs on standard error: a JSON object a line, or plain text where a person reads along."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

from server.domain.record import record

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


ACCESS_LOG = "organization_service.access"


@record
class RequestRecord:
    """How one request went: what nearly every line of the log is, so it is made and written with little work.

    `created` is in seconds since 1970, `ms` how many milliseconds it took.
    """

    created: float
    method: str
    http_method: str
    status: str
    code: str
    reason: str
    ms: float
    request_id: str

    def json(self) -> str:
        """Write it as `JsonFormatter` does; only what clients choose can have anything to escape."""
        return (
            f'{{"time": "{_time(self.created)}", "level": "info", "logger": "{ACCESS_LOG}", "message": "request",'
            f' "method": {encode_basestring(self.method)}, "http_method": {encode_basestring(self.http_method)},'
            f' "status": "{self.status}", "code": "{self.code}", "reason": "{self.reason}", "ms": {self.ms},'
            f' "request_id": {encode_basestring(self.request_id)}}}'
        )

    def logged(self) -> logging.LogRecord:
        """Give it as any record of the logging module."""
        of_any = {"name": ACCESS_LOG, "levelno": logging.INFO, "levelname": "INFO", "msg": "request"}
        return logging.makeLogRecord({**of_any, **asdict(self), "msecs": self.created % 1 * 1000})


Tell = Callable[[RequestRecord], None]
"""Puts how a request went into the log."""


def tell(request: RequestRecord) -> None:
    """Put how a request went into the log, as any record."""
    log = logging.getLogger(ACCESS_LOG)
    if log.isEnabledFor(logging.INFO):
        log.handle(request.logged())


_second = (0, "")
"""The last second in which something was logged, and how it is written."""


def _time(created: float) -> str:
    """Write a time as `2030-01-01T01:01:01.123+00:00`."""
    global _second
    whole, text = _second
    if whole != int(created):
        whole = int(created)
        text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = (whole, text)
    return f"{text}.{int(created % 1 * 1000):03}+00:00"


class JsonFormatter(logging.Formatter):
    """One JSON object for each record; what was given as `extra` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One line for people; what was given as `extra` follows as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items() if value != "")
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = f"{time} {record.levelname.lower():7} {record.getMessage()} {extra}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logs(log_format: str, level: str) -> Tell:
    """Send all logs to standard error as `json`, `text`, or `auto`: text on a terminal and JSON elsewhere.

    Gives what puts requests there, each by one write: what a handler does beside that costs more than the rest.
    """
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    formatter, stream = TextFormatter() if as_text else JsonFormatter(), sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if not logging.getLogger(ACCESS_LOG).isEnabledFor(logging.INFO):
        return lambda _request: None

    def write(request: RequestRecord) -> None:
        line = formatter.format(request.logged()) if as_text else request.json()
        try:
            stream.write(line + "\n")
        except (OSError, ValueError):
            # Where the log can't be written, requests are answered all the same.
            return

    return write
