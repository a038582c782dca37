"""Following a log from another process, and the asyncio face."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import suppress

import pytest

from logstore import Closed, InvalidLSN, RingFull
from logstore.lsn import DURABILITIES, Durability
from tests.conftest import Serve
from tests.service import Service
from tests.writers import Writers

pytestmark = pytest.mark.process


@pytest.mark.parametrize("level", DURABILITIES)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_follower_sees_every_record_of_other_processes_once_and_in_order(
    level: Durability, read_only: bool, shared: Service, writers: Writers
) -> None:
    count = 1500
    with shared.attach(read_only=read_only) as log:
        start = log.watermarks().reserved
        names = [
            writers.start(shared.name, "--count", str(count)),
            writers.start(shared.name, "--count", str(count), "--batch", "10", "--sizes", "0-500"),
        ]
        followed = []
        for record in log.follow(start, durability=level, timeout=20):
            followed.append(record)
            if len(followed) == 2 * count:
                break
        for name in names:
            writers.expect(name, 0)
        writers.oracle.until_all_told()
        assert len(writers.oracle.check(followed)) == 2 * count


def test_a_follower_sees_a_record_soon_after_its_append(shared: Service) -> None:
    late_s = []
    with shared.attach() as log, shared.attach(read_only=True) as reader:
        follower = reader.follow(log.watermarks().reserved, durability="ring", timeout=10)
        for n in range(20):
            began = time.monotonic()
            log.append(b"%d" % n)
            assert next(follower).payload == b"%d" % n
            late_s.append(time.monotonic() - began)
    assert sorted(late_s)[10] < 0.2


def test_following_ends_after_a_time_without_records(shared: Service) -> None:
    with shared.attach() as log:
        lsn = log.append(b"last")
        assert [r.lsn for r in log.follow(lsn, timeout=0.2)] == [lsn]
        assert list(log.follow(timeout=0.05)) == []


def test_a_thousand_concurrent_appends_take_no_thread_each(shared: Service) -> None:
    async def main() -> list[int]:
        tasks = [log.aio.append(b"%d" % n, durability=DURABILITIES[n % 3]) for n in range(1000)]
        return await asyncio.gather(*tasks)

    with shared.attach() as log:
        before = threading.active_count()
        lsns = asyncio.run(main())
        assert threading.active_count() <= before + 2  # one for each level that was waited for
        assert len(set(lsns)) == 1000
        log.sync(timeout=5)
        found = {record.lsn: record.payload for record in log.read(min(lsns))}
        assert [found[lsn] for lsn in lsns] == [b"%d" % n for n in range(1000)]


def test_every_asynchronous_call_does_what_its_name_says(shared: Service) -> None:
    async def main() -> None:
        lsns = await log.aio.append_many([b"a", b"b"], durability="synced")
        assert log.watermarks().synced > lsns[-1]
        assert await log.aio.append_many([]) == []
        lsn = await log.aio.append(b"c")
        await log.aio.wait(lsn, "written")
        assert await log.aio.sync() > lsn
        with pytest.raises(InvalidLSN):
            await log.aio.wait(log.watermarks().reserved + 800)
        found = []
        async for record in log.aio.follow(lsns[0]):
            found.append(bytes(record.payload))
            if len(found) == 3:
                break
        assert found == [b"a", b"b", b"c"]

    with shared.attach() as log:
        asyncio.run(main())


def test_a_cancelled_wait_leaves_its_record_and_the_other_waits_alone(serve: Serve) -> None:
    service = serve()

    async def main() -> int:
        service.send("syncer", signal.SIGSTOP)
        first = asyncio.create_task(log.aio.append(b"cancelled", durability="synced"))
        second = asyncio.create_task(log.aio.append(b"awaited", durability="synced"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(second), 0.1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        service.send("syncer", signal.SIGCONT)
        return await asyncio.wait_for(second, 10)

    with service.attach() as log:
        asyncio.run(main())
        assert [record.payload for record in log.read()] == [b"cancelled", b"awaited"]


def test_closing_fails_what_waits_and_a_dead_loop_harms_nobody(serve: Serve) -> None:
    service = serve()

    async def leave_waiting() -> None:
        task = asyncio.create_task(log.aio.append(b"1", durability="synced"))
        await asyncio.sleep(0)
        task.cancel()

    async def main() -> None:
        task = asyncio.create_task(log.aio.append(b"2", durability="synced"))
        await asyncio.sleep(0)
        await asyncio.to_thread(log.close)
        with pytest.raises(Closed):
            await asyncio.wait_for(task, 5)
        with pytest.raises(Closed):
            await log.aio.append(b"3")

    log = service.attach()
    service.send("syncer", signal.SIGSTOP)
    asyncio.run(leave_waiting())
    asyncio.run(main())
    service.send("syncer", signal.SIGCONT)


def test_a_full_ring_holds_up_an_asynchronous_append_and_not_its_loop(serve: Serve) -> None:
    service = serve(ring_size=1 << 16)

    async def main() -> None:
        with suppress(RingFull):
            while True:
                log.append(bytes(8000), timeout=0)
        task = asyncio.create_task(log.aio.append(bytes(8000)))
        await asyncio.sleep(0.05)
        assert not task.done()
        service.send("committer", signal.SIGCONT)
        await asyncio.wait_for(task, 10)

    with service.attach() as log:
        service.send("committer", signal.SIGSTOP)
        asyncio.run(main())
