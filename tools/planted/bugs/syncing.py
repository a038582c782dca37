"""Acknowledging what is not durable."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_SYNCER: Final = "workers/syncer.py"
_POWER: Final = (
    "tests/power/test_power.py"
    "::test_a_power_loss_at_any_moment_leaves_what_was_synced_and_nothing_else"
)

SYNCING: Final = (
    Bug(
        "ack-before-fdatasync",
        "The syncer publishes how far it will be, and syncs then.",
        (f"{_POWER}[ordered]",),
        (
            Edit(
                _SYNCER,
                "            self._sync_up_to(target)\n",
                "            ring.advance(Level.SYNCED, target)\n"
                "            self._sync_up_to(target)\n",
            ),
        ),
    ),
    Bug(
        "ack-past-the-sample",
        "After the sync the syncer publishes how far is written now, not how far it was before.",
        (f"{_POWER}[ordered]",),
        (
            Edit(
                _SYNCER,
                "        ring.advance(Level.SYNCED, target)\n",
                '        target = ring.load(LAYOUT["written"])\n'
                "        ring.advance(Level.SYNCED, target)\n",
            ),
        ),
    ),
    Bug(
        "wrong-descriptor-synced",
        "Of several segments the syncer syncs the first one again and again.",
        (f"{_POWER}[ordered]",),
        (
            Edit(
                _SYNCER,
                "self._directory.sync_file(segment.fd)",
                "self._directory.sync_file(self._segments[0].fd)",
            ),
        ),
    ),
    Bug(
        "directory-synced-for-its-file",
        "To sync a file, the directory's descriptor is given to fdatasync.",
        ("tests/test_files.py::test_a_sync_is_of_the_very_file_or_folder_and_its_error_is_told",),
        (Edit("logstore/files.py", "os.fdatasync(fd)", "os.fdatasync(self.fd)"),),
    ),
    Bug(
        "sync-result-ignored",
        "An error of fdatasync is dropped.",
        ("tests/test_files.py::test_a_sync_is_of_the_very_file_or_folder_and_its_error_is_told",),
        (
            Edit(
                "logstore/files.py",
                "        with self._place_of(fd):\n            os.fdatasync(fd)\n",
                "        try:\n            os.fdatasync(fd)\n"
                "        except OSError:\n            return\n",
            ),
        ),
    ),
    Bug(
        "sync-retried-after-an-error",
        "A sync that fails is tried once more, and the second answer is believed.",
        ("tests/faults/test_syncer.py::test_a_sync_that_failed_is_never_tried_again",),
        (
            Edit(
                _SYNCER,
                "                self._directory.sync_file(segment.fd)\n",
                "                try:\n"
                "                    self._directory.sync_file(segment.fd)\n"
                "                except OSError:\n"
                "                    self._directory.sync_file(segment.fd)\n",
            ),
        ),
    ),
    Bug(
        "failure-forgotten-by-a-restarted-syncer",
        "A syncer that is started after a failed sync takes up its work.",
        ("tests/faults/test_syncer.py::test_a_sync_that_failed_is_never_tried_again",),
        (
            Edit(
                _SYNCER,
                "target <= synced or self._client.state == State.FAILED or not self._due(synced)",
                "target <= synced or not self._due(synced)",
            ),
        ),
    ),
    Bug(
        "interrupted-sync-not-redone",
        "A syncer whose predecessor died inside fdatasync just syncs again.",
        ("tests/faults/test_syncer.py::test_a_sync_that_its_syncer_died_in_is_redone_by_writing",),
        (
            Edit(
                _SYNCER,
                '        if self._ring.load(LAYOUT["sync_intent"]):\n            self._redo()\n',
                "",
            ),
        ),
    ),
    Bug(
        "no-directory-sync",
        "The name of a new segment is never synced.",
        (f"{_POWER}[weak]",),
        (Edit(_SYNCER, "            self._directory.sync()\n", ""),),
    ),
    Bug(
        "old-segment-unsynced-at-rotation",
        "Only the newest segment is synced, and not what was written to the one before.",
        (
            "tests/faults/test_syncer.py::test_all_segments_with_new_bytes_are_synced_before_the_ack",
        ),
        (
            Edit(
                _SYNCER,
                "        for segment in self._segments:\n            if segment.base_lsn < target",
                "        for segment in self._segments[-1:]:\n"
                "            if segment.base_lsn < target",
            ),
        ),
    ),
    Bug(
        "sealed-before-it-is-synced",
        "A segment is sealed, and so synced, before the syncer has synced its frames.",
        (
            "tests/faults/test_sealing.py::test_a_segment_whose_sync_failed_at_sealing_is_never_called_synced",
        ),
        (Edit("workers/segments.py", "            self._await_synced(end_lsn)\n", ""),),
    ),
    Bug(
        "written-before-it-is",
        "The committer publishes `written` and then writes.",
        (f"{_POWER}[ordered]",),
        (
            Edit(
                "workers/committer.py",
                "        segments.write(self._memory[",
                "        ring.advance(Level.WRITTEN, to)\n        segments.write(self._memory[",
            ),
        ),
    ),
    Bug(
        "cursor-saved-before-its-records-are-synced",
        "A cursor's position is durable while the records below it are not.",
        (
            "tests/process/test_cursor_process.py"
            "::test_a_position_is_not_saved_before_the_records_below_are_synced",
        ),
        (
            Edit(
                "logstore/holding.py",
                "client.await_level(Level.SYNCED, lsn - 8, timeout_s)",
                "client.await_level(Level.RING, lsn - 8, timeout_s)",
            ),
        ),
    ),
    Bug(
        "claims-more-than-is-durable",
        "A frame says that all below was durable when it was only written.",
        (f"{_POWER}[weak]",),
        (
            Edit(
                "logstore/ring/ring.c",
                "slot->synced = atomic_load_explicit(&region->synced,",
                "slot->synced = atomic_load_explicit(&region->written,",
            ),
        ),
    ),
)
