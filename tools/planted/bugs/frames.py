"""Bytes taken for frames that are none, and frames in parts."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_FRAME: Final = "logstore/frames/frame.c"
_FIELDS: Final = "tests/frames/test_encode.py::test_a_frame_has_each_field_at_its_offset"
_BITS: Final = "tests/frames/test_encode.py::test_every_single_flipped_bit_makes_the_frame_bad"
_CRC: Final = (
    "    return ls_crc32c_frame(salt, payload_length + 1, &header->lsn, payload, payload_length);\n"
)
_PLAINLY: Final = (
    "    uint32_t size = payload_length + 1;\n"
    "    uint32_t crc = ls_crc32c(salt, &size, sizeof size);\n"
    "    crc = ls_crc32c(crc, &header->lsn, 24);\n"
    "    return ls_crc32c(crc, payload, payload_length);\n"
)
"""The same, one part after the other."""

FRAMES: Final = (
    Bug(
        "crc-without-size",
        "The checksum does not cover the size.",
        (_FIELDS,),
        (Edit(_FRAME, _CRC, _PLAINLY.replace("(salt, &size, sizeof size)", "(salt, &size, 0)")),),
    ),
    Bug(
        "crc-without-lsn",
        "The checksum does not cover the LSN.",
        (_FIELDS,),
        (Edit(_FRAME, _CRC, _PLAINLY.replace("&header->lsn, 24", "&header->seq, 16")),),
    ),
    Bug(
        "crc-without-seq",
        "The checksum does not cover the seq.",
        (_BITS,),
        (
            Edit(
                _FRAME,
                _CRC,
                _PLAINLY.replace(
                    "ls_crc32c(crc, &header->lsn, 24)",
                    "ls_crc32c(ls_crc32c(crc, &header->lsn, 8), &header->group, 8)",
                ),
            ),
        ),
    ),
    Bug(
        "crc-without-salt",
        "The checksum does not begin with the epoch's salt.",
        (_FIELDS,),
        (Edit(_FRAME, _CRC, _CRC.replace("(salt,", "(0 * salt,")),),
    ),
    Bug(
        "crc-of-zero-not-checked",
        "A checksum of 0 is taken for none, and the frame for good.",
        ("tests/frames/test_encode.py::test_a_checksum_of_zero_is_compared_as_any_other",),
        (
            Edit(
                _FRAME,
                "    if (ls_frame_crc(header, payload,",
                "    if (header->crc && ls_frame_crc(header, payload,",
            ),
        ),
    ),
    Bug(
        "size-of-zero-valid",
        "A frame of size 0 is taken for an empty one.",
        ("tests/frames/test_encode.py::test_a_size_of_zero_is_bad_even_if_its_checksum_fits",),
        (
            Edit(_FRAME, "if (header->size == 0 || (header->size", "if ((header->size"),
            Edit(
                _FRAME,
                "    span = ls_span(header->size - 1);\n",
                "    span = ls_span(header->size ? header->size - 1 : 0);\n",
            ),
            Edit(
                _FRAME,
                "    length = header->size - 1;\n",
                "    length = header->size ? header->size - 1 : 0;\n",
            ),
            Edit(_FRAME, _CRC, _PLAINLY.replace("payload_length + 1", "header->size")),
            Edit(
                _FRAME,
                "    return all_zero(payload + length,",
                "    header->size = length + 1;\n    return all_zero(payload + length,",
            ),
        ),
    ),
    Bug(
        "position-not-checked",
        "A frame that lies at another place than its LSN says is taken for good.",
        ("tests/frames/test_encode.py::test_a_frame_elsewhere_or_under_another_salt_is_bad",),
        (Edit(_FRAME, " || header->lsn != lsn)", ")"),),
    ),
    Bug(
        "publish-before-fill",
        "The word that publishes a frame is stored before its payload is there.",
        ("tests/ring/test_append.py::test_many_rounds_through_the_ring_keep_every_record",),
        (
            Edit(
                "logstore/ring/ring.c",
                "    memcpy(target, payload, length);\n"
                '    LS_POINT("fill.copied");\n'
                "    seal_word(ring, frame, (uint32_t)length + 1);\n",
                "    seal_word(ring, frame, (uint32_t)length + 1);\n"
                '    LS_POINT("fill.copied");\n'
                "    memcpy(target, payload, length);\n",
            ),
        ),
    ),
    Bug(
        "batch-published-in-parts",
        "The first frame of a batch is published before the others are there.",
        (
            "tests/crash/test_writer_points_crash.py"
            "::test_a_writer_dies_at_each_point_of_append_many_and_the_batch_is_all_or_nothing[1,0,7]",
        ),
        (
            Edit(
                "logstore/ring/ring.c",
                "        if (i > 0)\n            seal_word(ring, frame, (uint32_t)parts[i]",
                "            seal_word(ring, frame, (uint32_t)parts[i]",
            ),
        ),
    ),
    Bug(
        "batch-flag-dropped",
        "The frames of a batch do not say that more of it follows.",
        ("tests/ring/test_append.py::test_a_batch_is_seen_as_a_whole",),
        (
            Edit(
                "logstore/ring/ring.c",
                "uint8_t flags = i + 1 < count ? LS_MORE_OF_BATCH : 0;",
                "uint8_t flags = 0;",
            ),
        ),
    ),
    Bug(
        "damaged-frame-drained",
        "The committer writes a frame without looking at its checksum.",
        (
            "tests/hostile/test_scribbling_crash.py::test_only_the_record_that_was_scribbled_over_is_lost[payload-live]",
        ),
        (
            Edit(
                "workers/committer.py",
                "ring.walk(written, min(EXTENT, room), True)",
                "ring.walk(written, min(EXTENT, room), False)",
            ),
        ),
    ),
)
