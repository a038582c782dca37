"""Mistakes about who lives, who is who, and what the dead have left."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_REPAIR: Final = "logstore/ring/repair.py"
_COMMITTER: Final = "workers/committer.py"
_ALIVE: Final = "(generation & mask) == generation_of(token) and self._locks.held(index)"

ROLES: Final = (
    Bug(
        "dead-owner-found-by-pid",
        "A client lives as long as there is a process with its pid.",
        ("tests/ring/test_liveness.py::test_a_client_lives_until_it_closes",),
        (
            Edit(
                _REPAIR,
                _ALIVE,
                "(generation & mask) == generation_of(token) and Path(\n"
                "            f\"/proc/{self._ring.load(client_offset(index, 'pid'))}\"\n"
                "        ).exists()",
            ),
        ),
    ),
    Bug(
        "generation-not-compared",
        "A client that has the entry of a dead one is taken for it.",
        (
            "tests/ring/test_liveness.py"
            "::test_an_index_is_used_again_and_the_dead_is_not_mistaken_for_the_living",
        ),
        (Edit(_REPAIR, f"return {_ALIVE}", "return self._locks.held(index)"),),
    ),
    Bug(
        "guard-taken-from-a-slow-owner",
        "An owner of the guard that makes no progress is taken for dead.",
        ("tests/ring/test_guard.py::test_nothing_is_taken_from_a_live_owner_however_slow",),
        (
            Edit(
                _REPAIR,
                "if owner == 0 or liveness.alive(owner) or not liveness.take_recovery():",
                "if owner == 0 or not liveness.take_recovery():",
            ),
        ),
    ),
    Bug(
        "frame-taken-from-a-slow-owner",
        "A frame that is not finished becomes an abort frame although its owner lives.",
        (
            "tests/crash/test_stop_and_continue_crash.py"
            "::test_a_writer_stopped_with_a_record_in_flight_is_named_and_never_robbed[fill.copied]",
        ),
        (
            Edit(
                _COMMITTER,
                "if not self._client.alive(owner):",
                "if owner:",
            ),
        ),
    ),
    Bug(
        "frame-of-the-dead-not-aborted",
        "The frame of a writer that died holds everybody up for ever.",
        (
            "tests/crash/test_kill_one_crash.py"
            "::test_a_writer_that_holds_a_reservation_is_killed_and_its_record_is_aborted",
        ),
        (
            Edit(
                _COMMITTER,
                "                self._ring.abort_dead(at, owner)\n                return True\n",
                "                return False\n",
            ),
        ),
    ),
    Bug(
        "two-committers",
        "A role is taken although another process holds its lock.",
        ("tests/ring/test_liveness.py::test_a_role_is_held_by_one_process_and_the_error_names_it",),
        (
            Edit(
                "logstore/ring/client.py",
                "            if self._lock.take(index):\n",
                "            if self._lock.take(index) or role is not None:\n",
            ),
        ),
    ),
    Bug(
        "lock-kept-by-a-forked-child",
        "A child that its process has forked keeps the lock, so nobody sees the process die.",
        (
            "tests/process/test_clients_process.py"
            "::test_the_parents_death_frees_what_it_held_although_its_child_lives",
        ),
        (
            Edit(
                "logstore/ring/client.py",
                "        self.ring.forsake()\n"
                "        if self._lock is not None:\n"
                "            self._lock.close()\n",
                "        self.ring.forsake()\n",
            ),
        ),
    ),
    Bug(
        "stale-region-adopted",
        "A region of another boot is taken for this one's.",
        (
            "tests/crash/test_another_boot_crash.py"
            "::test_a_region_of_another_boot_is_discarded_and_the_files_are_recovered",
        ),
        (
            Edit(
                "workers/startup.py",
                "    if identity.boot_id != region.boot_id():\n",
                "    if identity.boot_id == bytes(16):\n",
            ),
        ),
    ),
    Bug(
        "full-disk-taken-for-a-failure",
        "A disk without room ends the log instead of holding it up.",
        (
            "tests/faults/test_sealing.py"
            "::test_a_full_disk_is_told_and_the_log_goes_on_by_itself_once_there_is_room"
            "[in segments and footers-28]",
        ),
        (
            Edit(
                "workers/role.py",
                "return isinstance(error, DiskFull) or error.errno in NO_SPACE",
                "return isinstance(error, DiskFull) and not error.errno",
            ),
        ),
    ),
)
