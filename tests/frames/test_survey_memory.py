"""A survey that runs out of memory stands before the frame that did not fit, and can go on."""

from __future__ import annotations

import ctypes

import pytest

from tests.frames.building import build
from tests.frames.reference import FIRST_LSN, SALT, Frame, encode_all, lay_out

EXPORTS = """
#include "frames/survey.h"
#include <stdlib.h>
#undef realloc
#undef calloc
void *realloc(void *items, size_t size);
void *calloc(size_t count, size_t size);

static int allowed;

void *scarce_realloc(void *items, size_t size)
{
    return allowed-- > 0 ? realloc(items, size) : NULL;
}

void *scarce_calloc(size_t count, size_t size)
{
    return allowed-- > 0 ? calloc(count, size) : NULL;
}

static uint64_t seqs_in(const struct ls_transaction_parts *one)
{
    uint64_t sum = 0;

    for (; one != NULL; one = one->next)
        for (const struct ls_part_set *set = one->sets; set != NULL; set = set->next)
            for (size_t i = 0; i < set->count; i++)
                sum += set->ranges[i].first * 3 + set->ranges[i].last * 5 + set->last_lsn;
    return sum;
}

/* Survey the bytes with so many allocations, then once more with plenty; returns the failures. */
int survey_scarcely(const char *bytes, size_t length, uint64_t lsn, uint32_t salt, int scarce,
                    uint64_t *facts)
{
    struct ls_survey survey;
    enum ls_verdict verdict;
    int failures = 0;

    ls_survey_begin(&survey, lsn, salt, 2);
    allowed = scarce;
    while (!ls_survey_feed(&survey, bytes + (survey.end_lsn - lsn),
                           length - (size_t)(survey.end_lsn - lsn), UINT64_MAX, &verdict)) {
        failures++;
        allowed = 1; /* the next allocation succeeds, the one after it fails again */
    }
    facts[0] = survey.end_lsn;
    facts[1] = survey.digest;
    facts[2] = survey.record_count;
    facts[3] = survey.points.count;
    facts[4] = survey.system.count;
    facts[5] = survey.payloads.count;
    facts[6] = ((struct ls_group_range *)survey.groups.items)[200].record_count;
    facts[7] = seqs_in(survey.parts.ended);
    for (size_t i = 0; i < survey.parts.bucket_count; i++)
        facts[7] += seqs_in(survey.parts.buckets[i]);
    ls_survey_end(&survey);
    return failures;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    sources = ["survey.c", "parts.c", "frame.c", "crc32c.c"]
    scarce = ("-Drealloc=scarce_realloc", "-Dcalloc=scarce_calloc")
    return build(tmp_path_factory.mktemp("scarce"), EXPORTS, sources, *scarce)


def test_what_is_surveyed_does_not_depend_on_where_memory_ran_out(library: ctypes.CDLL) -> None:
    log = lay_out(
        [Frame(bytes([i]) * i, group=i, seq=1, kind=1 + i // 2 % 2 * 4) for i in range(201)]
        + [
            Frame((8 * (1 + i % 70)).to_bytes(8, "little"), group=i % 3, seq=2 * i + 1, kind=2)
            for i in range(300)
        ]
    )
    data = encode_all(log)

    def survey(scarce: int) -> tuple[int, list[int]]:
        facts = (ctypes.c_uint64 * 8)()
        place = (ctypes.c_size_t(len(data)), ctypes.c_uint64(FIRST_LSN), ctypes.c_uint32(SALT))
        failures = library.survey_scarcely(ctypes.c_char_p(data), *place, scarce, facts)
        return failures, list(facts)

    failures, plenty = survey(1 << 30)
    assert failures == 0
    assert plenty[0] == FIRST_LSN + len(data)
    for scarce in range(60):
        failures, facts = survey(scarce)
        assert failures > 0
        assert facts == plenty, scarce
