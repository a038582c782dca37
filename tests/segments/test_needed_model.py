"""Random logs: a segment may be dropped exactly when plain sets say that nobody needs it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Compacted, NotWritten
from logstore.lsn import FIRST_LSN
from logstore.payloads import EVERY_GROUP
from logstore.segments.fold import catalog_at
from logstore.segments.footer import Footer, read_footer
from logstore.segments.needed import Hold, Looks, Pin, Reason, compaction, judge
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from logstore.segments.voided import VoidedParts
from tests.segments.catalog_model import LogModel
from tests.segments.small_log import UUID, SmallLog, read_all
from tests.segments.test_catalog_model import random_log


def _footers(log: SmallLog) -> list[Footer]:
    footers = [read_footer(log.directory, segment_name(s.base_lsn)) for s in log.manifest.sealed]
    return [footer for footer in footers if footer is not None]


def _finder(model: LogModel) -> Finder:
    return Finder(model.log.directory, UUID, lambda: model.log.end_lsn)


def _expected(model: LogModel, footers: list[Footer], pins: list[Pin]) -> list[set[Hold]]:
    """Apply the rules to each record by itself."""
    expected: list[set[Hold]] = []
    needed: set[tuple[int, int]] = set()
    void = {n for n, lsn in model.commits.items() if _is_hidden(model, lsn)}
    gone = {part for n in void for part in model.parts[n]}
    staying: list[Footer] = []
    for footer in footers:
        base, end = footer.base_lsn, footer.end_lsn
        mine = model.needed(base, end) - gone
        needed |= mine
        holds = {
            Hold(Reason.RECORDS, group=group, seq=min(seq for g, seq in mine if g == group))
            for group, _ in mine
        }
        holds |= {
            Hold(Reason.OPEN_TRANSACTION, lsn=number)
            for number, one in model.open.items()
            for group, seqs in one.seqs.items()
            if any(base <= model.where[group, seq] < end for seq in seqs)
        }
        holds |= {
            Hold(Reason.COMMIT, lsn=number)
            for number, lsn in model.commits.items()
            if number < base <= lsn < end and model.parts[number] & needed
        }
        holds |= {
            Hold(Reason.COMMIT, lsn=number)
            for number in void
            if number < base <= model.commits[number] < end
            and any(
                one.base_lsn <= model.where[part] < one.end_lsn
                for one in staying
                for part in model.parts[number]
            )
        }
        holds |= {Hold(Reason.PIN, lsn=pin.lsn, who=pin.who) for pin in pins if end > pin.lsn}
        holds |= {
            Hold(Reason.UNREAD, lsn=number, who=pin.who)
            for number, lsn in model.commits.items()
            if number not in void
            for pin in pins
            if pin.reads and number < pin.lsn <= lsn and _straddles(footers, number, lsn)
            if any(base <= model.where[part] < end for part in model.parts[number])
        }
        if model.hidden and base <= model.newest_revert_lsn < end:
            holds.add(Hold(Reason.REVERT, lsn=model.newest_revert_lsn))
        if footer is footers[-1]:
            holds.add(Hold(Reason.NEWEST))
        expected.append(holds)
        if holds:
            staying.append(footer)
    return expected


def _straddles(footers: list[Footer], first_lsn: int, commit_lsn: int) -> bool:
    return any(first_lsn < footer.end_lsn <= commit_lsn for footer in footers)


def _is_hidden(model: LogModel, commit_lsn: int) -> bool:
    return any(
        one.scope == EVERY_GROUP and one.from_lsn <= commit_lsn < one.until_lsn
        for one in model.hidden
    )


def _looks(model: LogModel) -> Looks:
    return Looks(_finder(model).first_seq_from, VoidedParts(model.log.directory, UUID).between)


@given(st.data())
def test_a_segment_is_kept_for_exactly_these_reasons(data: st.DataObject) -> None:
    model = random_log(data, 80)
    log = model.log
    places = st.sampled_from([FIRST_LSN, *model.where.values()])
    chosen = data.draw(st.lists(st.tuples(places, st.booleans()), max_size=2))
    pins = [Pin(lsn, "somebody", reads) for lsn, reads in chosen]
    footers = _footers(log)
    catalog = catalog_at(log.directory, UUID, log.end_lsn)
    verdicts = judge(footers, catalog, pins, _looks(model))
    assert [set(verdict.holds) for verdict in verdicts] == _expected(model, footers, pins)
    assert [verdict.droppable for verdict in verdicts] == [not v.holds for v in verdicts]


@given(st.data())
def test_what_is_left_after_compaction_is_found_and_the_rest_is_known_to_be_gone(
    data: st.DataObject,
) -> None:
    model = random_log(data, 80)
    log = model.log
    catalog = catalog_at(log.directory, UUID, log.end_lsn)
    finder = _finder(model)
    warm = data.draw(st.booleans())
    if warm:
        for group, seq in model.where:
            finder.lsn_of_seq(group, seq)
    done = compaction(log.manifest, judge(_footers(log), catalog, [], _looks(model)))
    for one in done.dropped:
        log.directory.unlink(segment_name(one.base_lsn))
    gone = {
        key
        for key, lsn in model.where.items()
        if any(one.base_lsn <= lsn < one.end_lsn for one in done.dropped)
    }
    for (group, seq), lsn in model.where.items():
        try:
            assert finder.load_seq(group, seq, []).lsn == lsn
            assert (group, seq) not in gone
        except Compacted:
            assert (group, seq) in gone
    assert set(done.manifest.sealed) | set(done.dropped) == set(log.manifest.sealed)
    kept = [one.base_lsn for one in done.manifest.sealed]
    front = done.dropped and done.dropped[0].base_lsn < kept[0]
    assert done.manifest.start_lsn == (kept[0] if front else log.manifest.start_lsn)
    # The catalog does not miss the segments, and reading passes over them.
    assert catalog_at(log.directory, UUID, log.end_lsn) == catalog
    left = [r.lsn for r in read_all(log.directory, log.end_lsn, done.manifest.start_lsn)]
    assert left == [
        lsn
        for lsn, _, _ in log.records
        if not any(one.base_lsn <= lsn < one.end_lsn for one in done.dropped)
    ]


@given(st.data())
def test_every_seq_has_its_place_or_was_never_written(data: st.DataObject) -> None:
    model = random_log(data)
    finder = _finder(model)
    keys = sorted({*model.where, *model.abandoned, *((g, s + 9) for g, s in model.where), (7, 1)})
    for group, seq in data.draw(st.lists(st.sampled_from(keys), max_size=40)):
        lsn = model.where.get((group, seq))
        try:
            assert finder.lsn_of_seq(group, seq) == lsn
            record = finder.load_seq(group, seq, ["default"])
            assert (record.lsn, record.seq) == (lsn, seq)
            assert record.group == ("default" if group == 0 else f"#{group}")
        except NotWritten:
            assert lsn is None
    # What comes later is found too.
    for group in (0, 1):
        lsn = model.data(group)
        assert finder.lsn_of_seq(group, model.last_seq[group]) == lsn
    model.rotate(1)
    lsn = model.data(1)
    assert finder.lsn_of_seq(1, model.last_seq[1]) == lsn
    assert finder.segment_of_seq(1, model.last_seq[1]) == lsn
