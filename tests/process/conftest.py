"""A running log with a small ring and small segments, and a second process that uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import logstore
from tests.conftest import Serve
from tests.model.parties import There
from tests.service import Service

SMALL = {"ring_size": 1 << 16, "segment_size": 1 << 14}


@pytest.fixture
def service(serve: Serve) -> Service:
    """Return a running service with a small ring and small segments."""
    return serve(**SMALL)


@pytest.fixture
def log(service: Service) -> Iterator[logstore.Log]:
    """Return the log, attached."""
    with service.attach() as log:
        yield log


@pytest.fixture
def there(service: Service) -> Iterator[There]:
    """Return a second process, killed afterwards."""
    there = There(service.name)
    yield there
    there.kill()
