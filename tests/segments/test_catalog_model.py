"""Random logs: the catalog that footers carry says what plain sets say of all frames."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logstore.payloads import CheckpointCommands
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.fold import catalog_at
from logstore.segments.footer import Footer, read_footer
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.catalog_model import LogModel, facts_of, scopes
from tests.segments.small_log import UUID, SmallLog

GROUPS = (0, 1, 4)
STEPS = (
    "data",
    "data",
    "begin",
    "part",
    "part",
    "commit",
    "abort",
    "ranges",
    "commands",
    "revert",
    "name",
    "abandon",
    "rotate",
    "rotate",
)


def step(data: st.DataObject, model: LogModel) -> None:
    """Do one random thing."""
    kind = data.draw(st.sampled_from(STEPS))
    group = data.draw(st.sampled_from(GROUPS))
    small = st.integers(1, 12)
    known = sorted({*model.open, *model.ended})
    number = data.draw(st.sampled_from(known)) if known else 0
    if kind == "data":
        model.data(group)
    elif kind == "begin":
        model.ended.append(model.part(0, group))
    elif kind == "part" and number and number not in model.commits:
        model.part(number, group)
    elif kind == "commit" and number:
        model.commit(number)
    elif kind == "abort" and number:
        model.abort(number)
    elif kind == "ranges":
        firsts = data.draw(st.lists(st.tuples(small, st.integers(0, 3)), min_size=1, max_size=3))
        model.checkpoint(group, tuple((first, first + more) for first, more in firsts))
    elif kind == "commands":
        key = data.draw(st.integers(1, 3))
        index = data.draw(st.integers(0, 2))
        said = CheckpointCommands(key, 3, ((index, index),), ((key, key + 1), (9, 9)))
        model.commands(group, said)
    elif kind == "revert":
        from_lsn = data.draw(st.sampled_from([4096, *model.where.values()]))
        model.revert(data.draw(st.sampled_from(scopes(GROUPS))), from_lsn)
    elif kind == "name":
        model.name(group, data.draw(st.sampled_from(["orders", "Bücher"])))
    elif kind == "abandon":
        model.abandon(group, data.draw(st.integers(1, 4)))
    elif kind == "rotate":
        model.rotate(data.draw(st.integers(0, 1)))


def random_log(data: st.DataObject, most: int = 60) -> LogModel:
    """Make a log of several segments, the last of them not sealed."""
    log = SmallLog(MemoryDirectory())
    log.begin()
    model = LogModel(log)
    for _ in range(data.draw(st.integers(0, most))):
        step(data, model)
    return model


@given(st.data())
def test_footers_carry_the_catalog_from_segment_to_segment(data: st.DataObject) -> None:
    model = random_log(data)
    model.log.seal()
    footer = read_footer(model.log.directory, model.log.active)
    assert footer is not None
    assert facts_of(catalog_of(footer)) == model.facts()
    assert Footer.decode(footer.encode()) == footer


@given(st.data())
def test_the_newest_footer_and_the_frames_behind_it_give_the_catalog_anywhere(
    data: st.DataObject,
) -> None:
    model = random_log(data)
    log = model.log
    directory = log.directory
    assert facts_of(catalog_at(directory, UUID, log.end_lsn)) == model.facts()
    # Sealing of a few segments may be behind.
    behind = data.draw(st.integers(0, len(log.manifest.sealed)))
    for one in log.manifest.sealed[len(log.manifest.sealed) - behind :]:
        fd = directory.open_write(segment_name(one.base_lsn))
        directory.truncate(fd, 4096 + one.end_lsn - one.base_lsn)
        directory.close_file(fd)
    assert facts_of(catalog_at(directory, UUID, log.end_lsn)) == model.facts()
    # And it is the same after having gone through a footer.
    log.seal()
    assert facts_of(catalog_at(directory, UUID, log.end_lsn)) == model.facts()


@given(st.data())
def test_a_log_without_such_frames_has_an_empty_catalog_and_no_section(
    data: st.DataObject,
) -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    model = LogModel(log)
    for group in data.draw(st.lists(st.sampled_from((0, 1)), max_size=20)):
        model.data(group)
    model.rotate(0)
    model.data(0)
    log.seal()
    assert log.footer is not None
    assert log.footer.others == ()
    found = facts_of(catalog_of(log.footer))
    assert found == model.facts()
    assert found["checkpoints"] == facts_of(Catalog())["checkpoints"]
