"""What is done now and then beside the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from server.domain.errors import ServiceError

log = logging.getLogger(__name__)


class Background:
    """Work on threads of its own, until it is stopped. What goes wrong is logged, and tried again the next time."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._waking: list[threading.Event] = []

    def every(
        self, seconds: float, work: Callable[[], object], failed: str, woken: threading.Event | None = None
    ) -> None:
        """Do work every so many seconds, and at once where `woken` is set.

        `failed` is what the log says where it can't be done.
        """
        awaited = woken or threading.Event()
        self._waking.append(awaited)

        def run() -> None:
            while True:
                awaited.wait(seconds)
                # Before the work, so that who sets it meanwhile has it done again; and before the look at `stopping`,
                # which is set first.
                awaited.clear()
                if self.stopping.is_set():
                    return
                attempt(work, failed)

        thread = threading.Thread(target=run, name=f"every {seconds:g} s", daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self, within_seconds: float) -> None:
        """Begin nothing any more, and wait a little for what is being done."""
        self.stopping.set()
        for awaited in self._waking:
            awaited.set()
        for thread in self._threads:
            thread.join(within_seconds)


def attempt(work: Callable[[], object], failed: str) -> None:
    """Do work; what goes wrong is logged."""
    try:
        work()
    except ServiceError as error:
        log.warning("%s: %s", failed, error)
    except Exception:
        log.exception(failed)
