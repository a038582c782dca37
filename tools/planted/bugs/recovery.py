"""Mistakes in finding the log's end, and in going on from there."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_RECOVER: Final = "logstore/segments/recover.py"
_TAIL: Final = "logstore/segments/tail.py"
_STARTUP: Final = "workers/startup.py"
_PROOF: Final = (
    "tests/segments/test_recover_corrupt.py"
    "::test_a_bad_frame_below_the_proof_of_a_later_one_is_corruption"
)
_KILLED: Final = (
    "tests/segments/test_recover_faults.py"
    "::test_killed_at_any_call_and_run_again_it_gives_the_same_bytes"
)
_NEW_EPOCH: Final = (
    "tests/faults/test_starts.py::test_every_start_is_an_epoch_with_a_salt_of_its_own"
)

RECOVERY: Final = (
    Bug(
        "torn-tail-not-erased",
        "What follows the last whole frame stays in the file.",
        (_KILLED,),
        (
            Edit(
                _RECOVER,
                "    directory.truncate(fd, offset)\n"
                "    directory.sync_file(fd)\n"
                "    return [(name, length)]\n",
                "    return [(name, length)]\n",
            ),
        ),
    ),
    Bug(
        "torn-tail-erased-before-its-copy-is-durable",
        "The copy of what is cut is not synced before the cut.",
        ("tests/power/test_found.py::test_what_a_recovery_cuts_is_in_the_file_or_in_its_copy",),
        (
            Edit(
                "logstore/segments/quarantine.py",
                "        directory.sync_file(copy)\n    finally:\n",
                "    finally:\n",
            ),
        ),
    ),
    Bug(
        "hole-skipped",
        "Segments behind one that ends too early are kept.",
        (
            "tests/segments/test_recover_torn.py::test_segments_behind_a_torn_one_are_put_aside_whole",
        ),
        (Edit(_TAIL, "            return linked[:count]\n", "            continue\n"),),
    ),
    Bug(
        "corruption-taken-for-a-torn-tail",
        "Frames that were durable are cut as if a crash had torn them.",
        (_PROOF,),
        (
            Edit(
                _TAIL,
                "Reached.BELOW_PROOF if end_lsn < proof_lsn else Reached.PROOF_OR_ABOVE",
                "Reached.PROOF_OR_ABOVE",
            ),
        ),
    ),
    Bug(
        "proofs-behind-the-damage-ignored",
        "Frames behind a bad one are not asked what was durable.",
        (_PROOF,),
        (Edit(_TAIL, "proof_lsn = max(proof_lsn, beyond)", "proof_lsn = max(proof_lsn, 0)"),),
    ),
    Bug(
        "half-a-batch-kept",
        "The frames of a batch without its end are kept.",
        (
            "tests/segments/test_recover_torn.py::test_a_batch_without_its_end_is_dropped_as_a_whole",
        ),
        (
            Edit(
                _TAIL,
                "        if survey.batch_lsn != survey.end_lsn:\n",
                "        if survey.batch_lsn > survey.end_lsn:\n",
            ),
        ),
    ),
    Bug(
        "page-cache-trusted-after-a-failed-sync",
        "Recovery syncs what it reads without writing it again.",
        (
            "tests/segments/test_recover.py"
            "::test_frames_that_are_not_known_to_be_durable_are_written_again",
        ),
        (
            Edit(
                _RECOVER,
                "        _write_again(directory, fd, step, durable_lsn)\n",
                "",
            ),
        ),
    ),
    Bug(
        "epoch-not-raised",
        "The log goes on in the same epoch after a recovery.",
        (_NEW_EPOCH,),
        (
            Edit(
                _STARTUP,
                "epoch=recovered.manifest.epoch + 1, clean=False",
                "epoch=recovered.manifest.epoch, clean=False",
            ),
        ),
    ),
    Bug(
        "same-salt-in-a-new-epoch",
        "Leftovers of an earlier epoch's tail can become valid behind new frames.",
        (_NEW_EPOCH,),
        (
            Edit(
                _STARTUP,
                "salt=secrets.randbits(32)",
                'salt=int.from_bytes(manifest.uuid[:4], "little")',
            ),
        ),
    ),
    Bug(
        "footers-not-cumulative",
        "A footer knows only of its own segment.",
        ("tests/segments/test_seal.py::test_it_knows_all_groups_of_the_segments_before",),
        (
            Edit(
                "logstore/segments/seal.py",
                "catalog = folded(directory, fd, header, survey, previous)",
                "catalog = folded(directory, fd, header, survey, None)",
            ),
        ),
    ),
)
