"""Services for the examples, each started while the one before is in use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.service import Service


class Services:
    """Have one service ready for each size of the ring."""

    def __init__(self, places: Iterator[Path], rings: Sequence[int], segment: int) -> None:
        self._places = places
        self._segment = segment
        self._starter = ThreadPoolExecutor(1)
        self._ready = {ring: self._later(ring) for ring in rings}

    def _later(self, ring: int) -> Future[Service]:
        path = next(self._places)
        options = {"ring_size": ring, "segment_size": self._segment}
        return self._starter.submit(self._start, Service(path, path.name, dict(options)))

    def _start(self, service: Service) -> Service:
        try:
            return service.start()
        except BaseException:
            discard(service)
            raise

    def take(self, ring: int) -> Service:
        """Return a service that runs; the next one is being started."""
        ready, self._ready[ring] = self._ready[ring], self._later(ring)
        return ready.result()

    def close(self) -> None:
        """End what was not taken."""
        for ready in self._ready.values():
            discard(ready.result())
        self._starter.shutdown()


def discard(service: Service) -> None:
    """End a service, and remove its log."""
    service.clean_up()
    shutil.rmtree(service.path, ignore_errors=True)
