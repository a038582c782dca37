"""Mistakes in shared memory: reserving, the guard, sleeping and waking."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_RING: Final = "logstore/ring/ring.c"
_GUARD: Final = "logstore/ring/guard.c"
_IDLING: Final = "logstore/ring/idling.c"
_IDLE: Final = "tests/ring/test_idling.py::"
_TELL_WRITTEN: Final = "    ls_advance_written(ring, extent.to);\n"
_WAITING: Final = "logstore/ring/waiting.c"
_HEAD: Final = (
    "    /* This one store is the reservation.  Pairs with: the acquire of head in ls_walk. */\n"
    "    atomic_store_explicit(&region->head, head + want->span, memory_order_release);\n"
)
_LOST_TOKEN: Final = "tests/ring/test_guard.py::test_a_lost_token_is_replaced_by_whoever_misses_it"

RING: Final = (
    Bug(
        "head-before-the-header",
        "The reservation is visible before the frame says whose it is.",
        (
            "tests/crash/test_stop_and_continue_crash.py"
            "::test_a_writer_stopped_inside_the_guard_holds_it_until_it_goes_on[reserve.intent]",
        ),
        (
            Edit(_RING, _HEAD, ""),
            Edit(
                _RING,
                '    LS_POINT("reserve.intent");\n',
                f'{_HEAD}    LS_POINT("reserve.intent");\n',
            ),
        ),
    ),
    Bug(
        "ring-overwritten-before-it-is-written",
        "A writer takes room that the committer has not drained.",
        (
            "tests/ring/test_waiting.py"
            "::test_a_full_ring_tells_so_after_the_time_out_and_nothing_is_appended",
        ),
        (Edit(_RING, "    return until - end <= ring->capacity;\n", "    return 1;\n"),),
    ),
    Bug(
        "state-not-looked-at-under-the-guard",
        "A record is reserved in a log that is stopping.",
        (
            "tests/ring/test_guard.py::test_a_state_set_under_the_guard_is_seen_by_the_next_reservation",
        ),
        (
            Edit(
                _RING,
                "    if (state != LS_STATE_RUNNING && state != LS_STATE_FULL)\n",
                "    if (state == LS_STATE_STARTING)\n",
            ),
        ),
    ),
    Bug(
        "owner-word-not-compared",
        "Who has a token from the semaphore is let in, whoever is inside.",
        ("tests/ring/test_guard.py::test_surplus_tokens_let_nobody_in_twice",),
        (
            Edit(
                _GUARD,
                "    /* Pairs with: the exchange in ls_guard_release and in ls_guard_repair. */\n",
                "    nobody = atomic_load(&ring->region->owner);\n",
            ),
        ),
    ),
    Bug(
        "token-lost-at-release",
        "Who leaves the guard does not give the token back.",
        (_LOST_TOKEN,),
        (
            Edit(
                _GUARD,
                "the next time-out replaces it. */\n    sem_getvalue(ring->semaphore, &tokens);\n",
                "the next time-out replaces it. */\n",
            ),
        ),
    ),
    Bug(
        "token-lost-at-repair",
        "Who frees the guard of a dead owner does not replace its token.",
        ("tests/ring/test_guard.py::test_a_repair_done_twice_is_a_repair_done_once",),
        (Edit(_GUARD, "    ls_guard_post(ring);\n    return 1;\n", "    return 1;\n"),),
    ),
    Bug(
        "lost-token-never-replaced",
        "Who times out on the semaphore does not try the guard without a token.",
        (_LOST_TOKEN,),
        (Edit(_GUARD, "return claim(ring) ? LS_OK : LS_BUSY;", "return LS_BUSY;"),),
    ),
    Bug(
        "repair-does-not-redo-the-seq",
        "After a death between head and seq the next record gets the same seq again.",
        (
            "tests/ring/test_guard.py"
            "::test_an_owner_that_died_after_its_reservation_has_its_seq_counted_and_its_frame_aborted",
        ),
        (
            Edit(
                _GUARD,
                "        if (seq > atomic_load_explicit(&region->groups[group].seq,",
                "        if (0 && seq > atomic_load_explicit(&region->groups[group].seq,",
            ),
        ),
    ),
    Bug(
        "wait-without-a-second-look",
        "Who is woken takes it for granted that the watermark has come.",
        (
            "tests/ring/test_waiting.py"
            "::test_waiters_of_different_positions_are_woken_as_theirs_are_passed",
        ),
        (
            Edit(
                _WAITING,
                "deadline_ns, class_of(lsn));\n"
                "        if (status != LS_OK)\n            return status;\n",
                "deadline_ns, class_of(lsn));\n        return status;\n",
            ),
        ),
    ),
    Bug(
        "sleep-without-a-second-look",
        "The committer goes to sleep on work that came as it was about to.",
        ("tests/ring/test_idling.py::test_work_that_came_before_the_sleep_is_not_slept_over",),
        (
            Edit(
                _IDLING,
                "committer_ready(ring, mode, blocked_lsn), state, deadline_ns",
                "0, state, deadline_ns",
            ),
        ),
    ),
    Bug(
        "append-does-not-wait",
        "An append returns before its record is as durable as asked for.",
        (
            "tests/process/test_arguments_process.py"
            "::test_what_is_waited_for_is_there_on_return[synced-None]",
        ),
        (
            Edit(
                "logstore/ring/_appender.c",
                "if (lsn != NULL && level != LS_LEVEL_RING) {",
                "if (0 && lsn != NULL && level != LS_LEVEL_RING) {",
            ),
        ),
    ),
    Bug(
        "only-one-sleeper-woken",
        "An append wakes a follower, and the committer that sleeps beside it sleeps on.",
        ("tests/ring/test_following.py::test_a_committer_that_sleeps_with_followers_is_woken_too",),
        (
            Edit(
                _WAITING,
                "futex_wake(mode, INT32_MAX, UINT32_MAX)",
                "futex_wake(mode, 1, UINT32_MAX)",
            ),
        ),
    ),
    Bug(
        "written-in-another-state",
        "A committer that is woken because the log has failed writes all the same.",
        (_IDLE + "test_who_wakes_up_leaves_to_the_step_what_is_out_of_the_ordinary[failed]",),
        (
            Edit(
                _IDLING,
                "(&region->state, memory_order_acquire) != state ||\n            !write_extent",
                "(&region->state, memory_order_acquire) == 99 ||\n            !write_extent",
            ),
        ),
    ),
    Bug(
        "synced-in-another-state",
        "A syncer that is woken because the log has failed syncs all the same.",
        (
            "tests/ring/test_syncer_idling.py"
            "::test_who_wakes_up_leaves_to_the_syncers_step_what_is_out_of_the_ordinary[failed]",
        ),
        (
            Edit(
                _IDLING,
                "(&region->state, memory_order_acquire) != state)\n            return 0;",
                "(&region->state, memory_order_acquire) == 99)\n            return 0;",
            ),
        ),
    ),
    Bug(
        "zeros-over-frames",
        "The zeros ahead of small pieces begin where the piece does.",
        (
            "tests/ring/test_filling.py"
            "::test_a_small_piece_that_somebody_waits_for_is_followed_by_zeros",
        ),
        (Edit(_IDLING, "start = ring->filled > to ? ring->filled : to;", "start = from;"),),
    ),
    Bug(
        "zeros-behind-the-segment",
        "The zeros ahead of small pieces go on where the segment ends.",
        ("tests/ring/test_filling.py::test_zeros_end_with_the_segment",),
        (
            Edit(
                _IDLING,
                "end = file->end < start + FILLED ? file->end : start + FILLED;",
                "end = start + FILLED;",
            ),
        ),
    ),
    Bug(
        "vigil-tells-before-it-writes",
        "On the vigil a record counts as written when the write is only about to come.",
        (f"{_IDLE}test_what_is_out_of_the_ordinary_is_left_to_the_committers_step[read-only]",),
        (
            Edit(_IDLING, _TELL_WRITTEN, ""),
            Edit(_IDLING, '    LS_POINT("vigil.published");\n', _TELL_WRITTEN),
        ),
    ),
    Bug(
        "vigil-writes-behind-the-segment",
        "On the vigil a batch that does not fit the segment is written all the same.",
        (f"{_IDLE}test_a_batch_that_does_not_fit_the_segment_is_left_to_the_step",),
        (Edit(_IDLING, " || extent.to - from > room)\n", ")\n"),),
    ),
    Bug(
        "vigil-believes-a-refused-sync",
        "On the vigil what fdatasync returns is not looked at.",
        (f"{_IDLE}test_a_sync_that_the_disk_refuses_is_told_and_its_intent_stays[vigil]",),
        (
            Edit(
                _IDLING,
                "    while (fdatasync(fd) != 0)\n",
                "    while (fdatasync(fd) != 0 && errno == EINTR)\n",
            ),
        ),
    ),
    Bug(
        "vigil-syncs-one-file-of-two",
        "On the vigil bytes count as synced that lie in a segment begun meanwhile.",
        (f"{_IDLE}test_what_is_out_of_the_ordinary_is_left_to_the_syncers_step[new segment]",),
        (
            Edit(
                _IDLING,
                "(&region->segment_count, memory_order_acquire) != segments",
                "(&region->segment_count, memory_order_acquire) < segments",
            ),
        ),
    ),
    Bug(
        "vigil-goes-on-after-a-refused-sync",
        "The syncer hears on its vigil that the disk refused, and the log goes on.",
        (
            "tests/faults/test_syncer.py::test_a_sync_that_the_disk_refuses_on_the_vigil_fails_the_log",
        ),
        (
            Edit(
                "workers/syncer.py",
                '            role.fail(ring, "fdatasync", error, self._directory.path / name)\n',
                "            del name, error\n",
            ),
        ),
    ),
    Bug(
        "failure-undone",
        "Who looked at the state before a failure sets another one after it.",
        ("tests/ring/test_waiting.py::test_a_failure_is_undone_by_nobody_who_looked_before_it",),
        (Edit(_WAITING, "    while (old != LS_STATE_FAILED &&\n", "    while (\n"),),
    ),
    Bug(
        "revert-published-outside-the-guard",
        "Between reserving a revert and publishing it others may reserve a commit.",
        (
            "tests/crash/test_revert_points_crash.py::test_a_revert_whose_process_dies_is_done_or_not_done[publish.published-True]",
        ),
        (
            Edit(
                _RING,
                "    if (status == LS_OK) {\n        ls_fill(ring, slot, payload, length);\n",
                "    ls_guard_release(ring);\n"
                "    if (status == LS_OK) {\n        ls_fill(ring, slot, payload, length);\n",
            ),
            Edit(
                _RING,
                "    ls_guard_release(ring);\n    if (status == LS_NO_ROOM)\n        ls_wait_room",
                "    if (status == LS_NO_ROOM)\n        ls_wait_room",
            ),
        ),
    ),
)
