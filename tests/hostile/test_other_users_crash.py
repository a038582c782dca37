"""Other users of the machine: a stranger, who gets nothing; one in the group of a log that is run
with mode 640, who reads and changes nothing; and one in the group of a log with mode 660."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.other_user import NOBODY, root_only, run_as
from tests.service import SHM, Service

pytestmark = [pytest.mark.crash, root_only]

GROUP = 65533


@pytest.fixture
def served(place: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Return a service of that group; it makes its directory where everybody can reach it."""
    base = Path("/tmp") / f"{place.name}-open"
    base.mkdir()
    base.chmod(0o755)
    become = ("setpriv", f"--regid={GROUP}", "--clear-groups")
    path = base / base.name
    options = {"mode": request.param, "segment_size": 8192}
    service = Service(path, path.name, options, wrapper=become)
    yield service
    service.clean_up()
    shutil.rmtree(base)


def fill(service: Service) -> None:
    """Start it, and append some records, over several segments."""
    service.start()
    with service.attach() as log:
        for number in range(20):
            log.append(b"%d" % number + bytes(1000), durability="synced", timeout=10)
        log.append(b"the last", durability="synced", timeout=10)


def state_of(service: Service) -> dict[str, tuple[int, int, int]]:
    """Return owner, group and mode of everything there is, but for what is being replaced."""
    objects = [*service.path.rglob("*"), *SHM.glob(f"*logstore.{service.name}")]
    found = {path: path.lstat() for path in objects if path.suffix != ".tmp"}
    return {str(path): (at.st_uid, at.st_gid, at.st_mode) for path, at in found.items()}


DENIED = """
def denied(what, call):
    try:
        call()
    except (logstore.PermissionDenied, logstore.ReadOnly, PermissionError):
        return
    sys.exit(what + " was allowed")
"""

STRANGER = (
    DENIED
    + """
name, place = sys.argv[1:]
denied("attaching", lambda: logstore.attach(name))
denied("reading", lambda: logstore.attach(name, read_only=True))
denied("attaching by path", lambda: logstore.attach(place + "/"))
denied("opening", lambda: logstore.open(place))
denied("repairing", lambda: logstore.repair(place))
denied("listing", lambda: os.listdir(place))
for path in ("/dev/shm/logstore." + name, "/dev/shm/sem.logstore." + name):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        denied(path, lambda: os.open(path, flags))
    denied(path, lambda: os.unlink(path))
"""
)

READER = (
    DENIED
    + """
name, place = sys.argv[1:]
with logstore.attach(name, read_only=True) as log:
    payloads = [record.payload for record in log.read()]
    assert len(payloads) == 21 and payloads[-1] == b"the last", payloads[-1:]
    assert log.status().state == "running"
    assert log.load(4096).payload[:1] == b"0"
    denied("appending", lambda: log.append(b"no"))
    denied("a cursor", lambda: log.cursor("mine").save())
    denied("compacting", log.compact)
    denied("reverting", lambda: log.revert(4096))
denied("attaching to write", lambda: logstore.attach(name))
denied("attaching to write by path", lambda: logstore.attach(place + "/"))
denied("opening", lambda: logstore.open(place))
shared = "/dev/shm/logstore." + name
with open(shared, "rb") as file:
    denied("mapping to write", lambda: mmap.mmap(file.fileno(), 0))
places = [os.path.join(place, entry) for entry in os.listdir(place)]
assert len(places) >= 4
for path in [*places, shared, "/dev/shm/sem.logstore." + name]:
    denied("writing " + path, lambda: os.open(path, os.O_WRONLY))
    denied("removing " + path, lambda: os.rename(path, path + "-gone"))
denied("making", lambda: os.close(os.open(place + "/mine", os.O_CREAT | os.O_WRONLY)))
"""
)

MEMBER = """
name, place = sys.argv[1:]
with logstore.attach(name) as log:
    assert len(list(log.read())) == 21
    lsn = log.append(b"from the group", durability="synced", timeout=10)
    assert log.load(lsn).payload == b"from the group"
    with log.cursor("ours") as cursor:
        cursor.save()
with logstore.attach(place + "/") as log:
    log.append(b"on its way", durability="written", timeout=10)
    os.kill(os.getpid(), 0)
"""


@pytest.mark.parametrize("served", [0o600, 0o640, 0o660], indirect=True, ids=oct)
def test_a_stranger_gets_nothing(served: Service) -> None:
    fill(served)
    before = state_of(served)
    run_as(STRANGER, served.name, str(served.path))
    assert state_of(served) == before
    assert len(served.read_all()) == 21


@pytest.mark.parametrize("served", [0o640], indirect=True, ids=oct)
def test_a_member_of_the_group_of_mode_640_reads_and_changes_nothing(served: Service) -> None:
    fill(served)
    before = state_of(served)
    run_as(READER, served.name, str(served.path), groups=(GROUP,))
    assert state_of(served) == before
    assert len(served.read_all()) == 21


@pytest.mark.parametrize("served", [0o660], indirect=True, ids=oct)
def test_a_member_of_the_group_of_mode_660_appends(served: Service) -> None:
    fill(served)
    run_as(MEMBER, served.name, str(served.path), groups=(GROUP,))
    with served.attach() as log:
        assert [record.payload for record in log.read()][-2:] == [b"from the group", b"on its way"]
        assert [cursor.name for cursor in log.cursors()] == ["ours"]
        assert (served.path / "cursors" / "ours").stat().st_uid == NOBODY
        log.append(b"goes on", durability="synced", timeout=10)


KILLED = """
name, _ = sys.argv[1:]
log = logstore.attach(name)
with log.reserve(16) as slot:
    print("reserved", flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("served", [0o660], indirect=True, ids=oct)
def test_a_member_of_the_group_that_dies_in_a_record_holds_nobody_up(served: Service) -> None:
    fill(served)
    with pytest.raises(AssertionError, match="reserved"):
        run_as(KILLED, served.name, "", groups=(GROUP,))
    with served.attach() as log:
        log.append(b"goes on", durability="synced", timeout=10)
        assert len(log.status().clients) == 4


@pytest.mark.parametrize("served", [0o600, 0o640, 0o660], indirect=True, ids=oct)
def test_everything_has_the_mode_and_the_services_group(served: Service) -> None:
    served.start()
    shared = [SHM / f"logstore.{served.name}", SHM / f"sem.logstore.{served.name}"]
    for path in (*shared, served.path / "lock", served.path / "MANIFEST"):
        at = path.stat()
        assert (at.st_uid, at.st_gid, at.st_mode & 0o777) == (0, GROUP, served.options["mode"])
    assert served.path.stat().st_gid == GROUP
