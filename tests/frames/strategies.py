"""Hypothesis strategies: frames of all sorts, and bytes that damage has gone over."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.frames.reference import SALT, Frame, encode_all, lay_out

KNOWN_KINDS = range(1, 10)

kinds = st.one_of(
    st.just(1), st.sampled_from(KNOWN_KINDS), st.sampled_from([0, 10, 0x7F, 0x80, 0x81, 0xFF])
)
flags = st.one_of(st.just(0), st.just(1), st.sampled_from([2, 3, 4, 0x80]))
distances = st.one_of(
    st.integers(0, 2000), st.sampled_from([0, 511, 512, 513, 0xFFFFFFFE, 0xFFFFFFFF])
)
frames = st.builds(
    Frame,
    payload=st.binary(max_size=40),
    seq=st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1)),
    group=st.one_of(st.integers(0, 3), st.integers(0, 2**16 - 1)),
    kind=kinds,
    flags=flags,
    distance=distances,
)
plain_frames = st.builds(
    Frame,
    payload=st.binary(max_size=40),
    seq=st.integers(0, 50),
    group=st.integers(0, 2),
    kind=st.sampled_from(KNOWN_KINDS),
    flags=st.integers(0, 1),
    distance=distances,
)
logs = st.one_of(
    st.lists(frames, max_size=8).map(lay_out), st.lists(plain_frames, max_size=12).map(lay_out)
)


@st.composite
def damaged(draw: st.DrawFn, log: list[Frame]) -> bytes:
    """The bytes of a log after none, one or a few small disasters."""
    data = bytearray(encode_all(log, SALT))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "flip", "overwrite", "insert", "remove"])):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "overwrite":
                piece = draw(st.one_of(st.binary(max_size=16), st.just(bytes(16))))
                data[at : at + len(piece)] = piece
            case "insert":
                data[at:at] = draw(st.binary(max_size=16))
            case "remove":
                del data[at : at + draw(st.integers(0, 64))]
            case _:
                pass
    return bytes(data)
