"""How answers are handed to the server: whole and ended, so that no thread waits until a client has read one.

The server gives an answer's thread back when it has taken what the answer consists of. Of one that has an end it
knows that at once; after the trailers of gRPC it takes nothing more, and a further piece, though empty, keeps the
thread until the stream is gone: until the client has read all, if it ever does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Trailers = list[tuple[str, str]]

_SEND_TRAILERS = "wsgi.ext.http.send_trailers"


def whole_answers(application: WSGIApplication) -> WSGIApplication:
    """Give an application that hands over each answer of another as one piece, with its trailers if it has any."""

    def handing_over(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        send_trailers = environ.get(_SEND_TRAILERS)
        trailers: Trailers = []
        environ[_SEND_TRAILERS] = trailers.extend
        body = b"".join(application(environ, start_response))
        return [body] if send_trailers is None or not trailers else _ending(body, trailers, send_trailers)

    return handing_over


def _ending(body: bytes, trailers: Trailers, send_trailers: Callable[[Trailers], Any]) -> Iterator[bytes]:
    """Give the body, and nothing more once its trailers are sent."""
    if body:
        yield body
    send_trailers(trailers)
