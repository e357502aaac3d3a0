"""Looking at an address again and again while something happens to whoever answers there, and counting."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import httpx

_PAUSE: Final = 0.02
_PATIENCE: Final = 2.0
_SERVER_ERROR: Final = 500


class Onlooker:
    """Asks an address in a thread of its own, one request after the other, until it is left; then says what it saw."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._looking = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._look, name="onlooker", daemon=True)
        self.asked = 0
        self.lost = 0

    def __enter__(self) -> Self:
        if self._url:
            self._thread.start()
            self._looking.wait(2 * _PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._url:
            self._thread.join()

    def __str__(self) -> str:
        if not self._url:
            return "nobody counted lost requests, since no probe is named"
        return f"{self.lost} of {self.asked} requests to {self._url} were lost"

    def wait_for_an_answer(self, patience: float, still_wanted: Callable[[], None]) -> None:
        """Wait until the address answers what was asked from now on; not for ever, and not where none is named."""
        self._answered.clear()
        deadline = time.monotonic() + patience
        while self._url and time.monotonic() < deadline and not self._answered.wait(_PAUSE):
            still_wanted()

    def _look(self) -> None:
        with httpx.Client(timeout=_PATIENCE, trust_env=False) as client:
            while not self._over.wait(_PAUSE):
                self.asked += 1
                if self._is_lost(client):
                    self.lost += 1
                else:
                    self._answered.set()
                self._looking.set()

    def _is_lost(self, client: httpx.Client) -> bool:
        try:
            return client.get(self._url).status_code >= _SERVER_ERROR
        except httpx.HTTPError:
            return True
