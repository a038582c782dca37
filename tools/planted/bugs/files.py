"""Mistakes with files: how they are opened, written, renamed and made durable."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug, Edit

_FILES: Final = "logstore/files.py"
_REGION: Final = "logstore/ring/region.py"
_SEAL: Final = "logstore/segments/seal.py"
_SHORT: Final = "tests/test_files.py::test_short_reads_and_writes_go_on"
_ORDER_OF_SEALING: Final = (
    "tests/segments/test_seal.py"
    "::test_the_frames_are_durable_before_there_is_a_footer_and_then_so_is_it"
)
_ORDER_OF_MANIFEST: Final = (
    "tests/segments/test_manifest.py"
    "::test_it_is_durable_before_it_takes_the_old_ones_name_and_then_so_is_the_name"
)
_MODES: Final = (
    "tests/ring/test_region.py::test_a_region_is_private_preallocated_and_gone_after_unlink"
)

FILES: Final = (
    Bug(
        "short-write-taken-for-whole",
        "What the first pwrite has not taken is never written.",
        (_SHORT,),
        (Edit(_FILES, "            if done == whole.nbytes:", "            if done > 0:"),),
    ),
    Bug(
        "short-read-taken-for-the-end",
        "What the first pread has not given is taken for not there.",
        (_SHORT,),
        (Edit(_FILES, "if len(piece) in (0, length):", "if len(piece) <= length:"),),
    ),
    Bug(
        "read-error-taken-for-the-end",
        "A read that fails gives no bytes, as the end of the file does.",
        ("tests/faults/test_read_errors.py::test_reading_gives_everything_or_an_error[forward-5]",),
        (
            Edit(
                _FILES,
                "        except OSError:\n"
                "            with self._place_of(fd):\n"
                "                raise\n",
                '        except OSError:\n            return b""\n',
            ),
        ),
    ),
    Bug(
        "file-created-without-o-excl",
        "A file that must be new may be one that is there.",
        ("tests/test_files.py::test_creating_never_takes_an_existing_name",),
        (Edit(_FILES, "os.O_RDWR | os.O_CREAT | os.O_EXCL", "os.O_RDWR | os.O_CREAT"),),
    ),
    Bug(
        "file-opened-without-o-nofollow",
        "A link in the data directory is followed.",
        ("tests/test_files.py::test_links_are_not_followed",),
        (
            Edit(
                _FILES,
                "_OPEN_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC",
                "_OPEN_FLAGS: Final = os.O_CLOEXEC",
            ),
        ),
    ),
    Bug(
        "file-with-mode-0666",
        "Everybody may read and write the log's files.",
        ("tests/test_files.py::test_a_new_file_has_exactly_its_mode_whatever_the_umask",),
        (Edit(_FILES, "            os.fchmod(fd, mode)\n", "            os.fchmod(fd, 0o666)\n"),),
    ),
    Bug(
        "region-with-mode-0666",
        "Everybody may read and write the shared memory.",
        (_MODES,),
        (Edit(_REGION, "os.fchmod(memory.fd, mode)", "os.fchmod(memory.fd, 0o666)"),),
    ),
    Bug(
        "region-created-without-o-excl",
        "Shared memory that is there already is taken over.",
        ("tests/ring/test_region.py::test_a_name_that_is_taken_is_never_taken_over",),
        (
            Edit(
                _REGION,
                "posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=mode)",
                "posix_ipc.SharedMemory(name, posix_ipc.O_CREAT, mode=mode)",
            ),
        ),
    ),
    Bug(
        "region-opened-without-o-nofollow",
        "A link of the region's name is followed, to whatever region it leads.",
        ("tests/ring/test_region_links.py::test_a_link_to_a_good_region_is_not_followed",),
        (Edit(_REGION, "access | os.O_NOFOLLOW | os.O_CLOEXEC", "access | os.O_CLOEXEC"),),
    ),
    Bug(
        "region-truncated-instead-of-allocated",
        "The region gets its size and no memory: a full /dev/shm is a SIGBUS later.",
        (_MODES,),
        (
            Edit(
                _REGION,
                "os.posix_fallocate(memory.fd, 0, size)",
                "os.ftruncate(memory.fd, size)",
            ),
        ),
    ),
    Bug(
        "manifest-not-synced-before-its-rename",
        "The new manifest takes the old one's name before its bytes are durable.",
        (_ORDER_OF_MANIFEST,),
        (
            Edit(
                "logstore/segments/whole_file.py",
                "            directory.sync_file(fd)\n        finally:\n",
                "        finally:\n",
            ),
        ),
    ),
    Bug(
        "manifest-name-not-synced",
        "After the rename the directory is not synced.",
        (_ORDER_OF_MANIFEST,),
        (Edit("logstore/segments/whole_file.py", "        directory.sync(folder)\n", ""),),
    ),
    Bug(
        "manifest-before-the-names-in-it",
        "The manifest may be durable before the names of the segments that it lists.",
        (
            "tests/power/test_found.py"
            "::test_a_manifest_is_never_there_before_the_segments_that_it_names",
        ),
        (
            Edit(
                "logstore/segments/manifest.py",
                "    with writing(MANIFEST):\n        directory.sync()\n",
                "",
            ),
        ),
    ),
    Bug(
        "segment-named-before-its-header-is-durable",
        "A power loss may leave a segment with a torn header.",
        ("tests/segments/test_segment.py::test_the_header_is_synced_before_the_name_exists",),
        (
            Edit(
                "logstore/segments/segment.py",
                '        directory.sync_file(fd)\n        point("rotate.header")\n',
                '        point("rotate.header")\n',
            ),
        ),
    ),
    Bug(
        "footer-before-its-frames",
        "A footer may be durable before the frames that it proves.",
        (_ORDER_OF_SEALING,),
        (
            Edit(
                _SEAL,
                "    directory.sync_file(fd)\n    data = footer.encode()\n",
                "    data = footer.encode()\n",
            ),
        ),
    ),
    Bug(
        "seal-not-synced",
        "A segment is called sealed while its footer and its length are not durable.",
        (_ORDER_OF_SEALING,),
        (
            Edit(
                _SEAL,
                '    point("seal.truncated")\n    directory.sync_file(fd)\n',
                '    point("seal.truncated")\n',
            ),
        ),
    ),
)
