"""A file that fails: `python -P -m tests.programs.fuse_file FILE STORE MARK` mounts it over FILE.

Serves the FUSE protocol of the kernel for a single regular file whose bytes are those of STORE. The
first write that has the bytes MARK (hex) in it is refused with EIO and changes nothing; after that
the file is sound. Prints `ready` once it serves, and ends when it is unmounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct("<IIQQIIII")  # length, opcode, unique, node, uid, gid, pid, padding
_ANSWER: Final = struct.Struct("<IiQ")  # length, -errno, unique
_INIT: Final = struct.Struct("<IIII")  # major, minor, readahead, flags
_INIT_ANSWER: Final = struct.Struct("<IIIIHHIIHHI28x")
_ATTRIBUTES: Final = struct.Struct("<QIIQQQQQQIIIIIIIIII")
_OPENED: Final = struct.Struct("<QII")
_PIECE: Final = struct.Struct("<QQII16x")  # handle, offset, size; the same for reads and writes
_WRITTEN: Final = struct.Struct("<II")

_DIRECT_IO: Final = 1  # nothing is cached above: what is read is what is stored
_BIG_WRITES: Final = 1 << 5
_LARGEST: Final = 1 << 17
_MODE: Final = 0o100600
_BLOCK: Final = 512


@dataclass(slots=True)
class FailingFile:
    """The file, as the kernel asks for it."""

    fd: int
    mark: bytes
    failures: int = 0

    def attributes(self, _: bytes) -> bytes:
        """GETATTR: 1 second is how long the kernel may believe it."""
        size = os.fstat(self.fd).st_size
        times = (0,) * 6
        rest = (_MODE, 1, 0, 0, 0, 4096, 0)
        return _ATTRIBUTES.pack(1, 0, 0, 1, size, size // _BLOCK, *times, *rest)

    def init(self, body: bytes) -> bytes:
        """INIT: agree on a version, 7.31 at most."""
        major, minor, readahead, flags = _INIT.unpack_from(body)
        return _INIT_ANSWER.pack(
            major, min(minor, 31), readahead, flags & _BIG_WRITES, 12, 9, _LARGEST, 1, 32, 0, 0
        )

    def open(self, _: bytes) -> bytes:
        """OPEN."""
        return _OPENED.pack(0, _DIRECT_IO, 0)

    def read(self, body: bytes) -> bytes:
        """READ."""
        _, offset, size, _ = _PIECE.unpack_from(body)
        return os.pread(self.fd, size, offset)

    def write(self, body: bytes) -> bytes:
        """WRITE: fails once."""
        _, offset, size, _ = _PIECE.unpack_from(body)
        data = body[_PIECE.size : _PIECE.size + size]
        if self.mark in data and not self.failures:
            self.failures += 1
            raise OSError(errno.EIO, "as asked for")
        return _WRITTEN.pack(os.pwrite(self.fd, data, offset), 0)

    def nothing(self, _: bytes) -> bytes:
        """FLUSH, FSYNC, RELEASE, ACCESS: what is written is written."""
        return b""


def serve(device: int, file: FailingFile) -> None:
    """Answer until the file is unmounted."""
    calls: dict[int, Callable[[bytes], bytes]] = {
        3: file.attributes,
        4: file.attributes,  # SETATTR: times, which nobody looks at
        14: file.open,
        15: file.read,
        16: file.write,
        18: file.nothing,
        20: file.nothing,
        25: file.nothing,
        26: file.init,
        34: file.nothing,
    }
    silent = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET: no answer is waited for
    while True:
        try:
            request = os.read(device, _LARGEST + 8192)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            raise
        _, opcode, unique, *_ = _HEADER.unpack_from(request)
        if opcode in silent:
            continue
        failure, answer = 0, b""
        try:
            answer = calls[opcode](request[_HEADER.size :]) if opcode in calls else b""
            failure = 0 if opcode in calls else errno.ENOSYS
        except OSError as error:
            failure = error.errno or errno.EIO
        os.write(device, _ANSWER.pack(_ANSWER.size + len(answer), -failure, unique) + answer)


def mount(place: Path) -> int:
    """Mount a FUSE file over a file, and return the device by which the kernel asks."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=100000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"failing", os.fsencode(place), b"fuse", 0, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))
    return device


def main(argv: list[str]) -> int:
    """Serve one file."""
    place, store, mark = argv
    device = mount(Path(place))
    print("ready", flush=True)
    serve(device, FailingFile(os.open(store, os.O_RDWR), bytes.fromhex(mark)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
