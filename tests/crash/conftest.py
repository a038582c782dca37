"""The armed copy of the package, built once for all crash tests."""

from __future__ import annotations

import pytest

from tests import fail_points
from tests.fail_points import FailPoints


@pytest.fixture(scope="session")
def armed(tmp_path_factory: pytest.TempPathFactory) -> FailPoints:
    """Return the copy of the package in which fail points work."""
    return fail_points.build(tmp_path_factory.mktemp("armed") / "tree")
