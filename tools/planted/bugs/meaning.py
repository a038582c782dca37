"""Mistakes about what frames mean: transactions, reverts, compaction."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

MEANING: Final = (
    Bug(
        "parts-delivered-without-a-commit",
        "Readers get the parts of a transaction that was never committed.",
        (
            "tests/process/test_transactions_process.py"
            "::test_a_large_transaction_whose_process_is_killed_leaves_nothing",
        ),
        (
            Edit(
                "logstore/visible.py",
                "elif frame.kind == TXN_PART and self._uncommitted:",
                "elif frame.kind == TXN_PART:",
            ),
        ),
    ),
    Bug(
        "transaction-outlives-its-epoch",
        "What the processes of an earlier epoch had open can still be committed.",
        (
            "tests/segments/test_catalog.py"
            "::test_what_is_open_at_the_end_of_an_epoch_comes_to_nothing",
        ),
        (
            Edit(
                "logstore/segments/catalog.py",
                "        if epoch != self.epoch:\n            self.abort_all()\n",
                "",
            ),
        ),
    ),
    Bug(
        "compaction-ignores-pins",
        "A segment that a cursor has not read is dropped.",
        ("tests/segments/test_needed.py::test_a_pin_holds_every_segment_that_ends_behind_it",),
        (
            Edit(
                "logstore/segments/needed.py",
                "for p in pins if p.lsn < footer.end_lsn]",
                "for p in pins if p.lsn < footer.base_lsn]",
            ),
        ),
    ),
    Bug(
        "compaction-unlinks-before-the-manifest",
        "Segments are removed while the manifest on the disk still lists them.",
        (
            "tests/power/test_power.py"
            "::test_a_power_loss_at_any_moment_leaves_what_was_synced_and_nothing_else[ordered]",
        ),
        (
            Edit(
                "workers/compaction.py",
                '            save(plan.manifest)\n            point("compact.saved")\n',
                "",
            ),
            Edit(
                "workers/compaction.py",
                "            self._dropped = []\n",
                "            self._dropped = []\n            save(plan.manifest)\n",
            ),
        ),
    ),
    Bug(
        "dropped-read-from-the-ring",
        "What compaction has dropped is read out of the ring, where it still lies.",
        (
            "tests/crash/test_compaction_points_crash.py"
            "::test_what_is_found_to_be_gone_is_not_read_out_of_the_ring",
        ),
        (
            Edit(
                "logstore/raw.py",
                "if overwritten or position < self._ring.load(_DROPPED_BELOW):\n",
                "if overwritten:\n",
            ),
        ),
    ),
    Bug(
        "dropped-loaded-from-an-open-file",
        "A record that compaction has dropped is loaded from a segment that stayed open.",
        (
            "tests/process/test_loading_process.py"
            "::test_a_dropped_record_is_compacted_although_it_was_loaded_before",
        ),
        (Edit("logstore/ring/_delivery.c", " && seen == removed(region)", ""),),
    ),
    Bug(
        "reverted-loaded-from-an-open-file",
        "A record that was reverted is loaded from a segment that stayed open.",
        (
            "tests/process/test_loading_process.py"
            "::test_compacted_reverted_and_never_written_stay_three_things",
        ),
        (
            Edit(
                "logstore/ring/_delivery.c",
                "atomic_load_explicit(&region->newest_revert_lsn, memory_order_acquire) == 0 &&",
                "1 &&",
            ),
        ),
    ),
    Bug(
        "closed-before-dropped",
        "A segment is closed while records may still be loaded through its descriptor.",
        ("tests/segments/test_loading.py::test_no_file_is_closed_that_could_still_be_read",),
        (
            Edit(
                "logstore/segments/loading.py",
                "        self.files.drop(opened.number)\n"
                "        self._segments.directory.close_file(opened.fd)\n",
                "        self._segments.directory.close_file(opened.fd)\n"
                "        self.files.drop(opened.number)\n",
            ),
        ),
    ),
    Bug(
        "revert-of-a-commit-not-seen",
        "A transaction is committed although a revert lies behind its first part.",
        (
            "tests/process/test_reverts_process.py"
            "::test_a_commit_is_refused_after_a_revert_even_of_what_came_later",
        ),
        (
            Edit(
                "logstore/ring/ring.c",
                "    if (want->unreverted_since && atomic",
                "    if (0 && want->unreverted_since && atomic",
            ),
        ),
    ),
)
