"""What `import logstore` offers, and what it costs."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import logstore
from tests.service import environment


def modules_after(code: str) -> set[str]:
    """Run some code in a new interpreter; return which modules it has then."""
    report = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", report]
    done = subprocess.run(command, capture_output=True, check=True, env=environment())
    return set(json.loads(done.stdout))


def test_every_public_name_is_there_once_and_is_listed() -> None:
    namespace: dict[str, object] = {}
    exec("from logstore import *", namespace)
    assert set(logstore.__all__) == namespace.keys() - {"__builtins__"}
    assert set(logstore.__all__) <= set(dir(logstore))
    rooms = vars(logstore)["_ROOM_OF"]
    assert sorted(rooms) == sorted(logstore.__all__)
    for name in logstore.__all__:
        assert getattr(logstore, name) is namespace[name]


def test_no_public_name_is_a_modules_name() -> None:
    # The module would take its place when somebody imports it.
    modules = {one.name for one in pkgutil.iter_modules(logstore.__path__)}
    assert not modules & set(logstore.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'logstore' has no attribute 'nothing'"):
        logstore.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_of_it() -> None:
    assert {one for one in modules_after("import logstore") if one.startswith("logstore.")} == set()


@pytest.mark.parametrize("role", ["committer", "syncer"])
def test_a_worker_does_not_import_the_faces_that_programs_use(role: str) -> None:
    faces = {f"logstore.{face}" for face in ("log", "group", "cursor", "transaction", "repairing")}
    assert not modules_after(f"import logstore.workers.{role}") & faces
