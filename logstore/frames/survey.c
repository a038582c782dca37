/* The survey of a byte range: frames judged one by one, counted, indexed and digested.
 *
 * Everything is gathered in four growing arrays. Room in all of them is made before any of them
 * changes, so a frame is taken in wholly or not at all when memory runs out.
 */
#include "frames/survey.h"

#include <stdlib.h>
#include <string.h>

#include "frames/crc32c.h"

void ls_survey_begin(struct ls_survey *survey, uint64_t lsn, uint32_t salt, uint64_t stride)
{
    *survey = (struct ls_survey){.end_lsn = lsn, .salt = salt, .stride = stride};
    ls_parts_begin(&survey->parts);
}

void ls_survey_end(struct ls_survey *survey)
{
    free(survey->groups.items);
    free(survey->points.items);
    free(survey->system.items);
    free(survey->payloads.items);
    ls_parts_end(&survey->parts);
}

/* Make room for `more` items behind the last one; the new room is zero. */
static bool make_room(struct ls_array *array, size_t more, size_t item_size)
{
    size_t capacity = array->capacity ? array->capacity : 16;
    char *items;

    if (more <= array->capacity - array->count)
        return true;
    if (more > SIZE_MAX / 4 / item_size - array->count)
        return false;
    while (capacity < array->count + more)
        capacity *= 2;
    items = realloc(array->items, capacity * item_size);
    if (items == NULL)
        return false;
    memset(items + array->capacity * item_size, 0, (capacity - array->capacity) * item_size);
    array->items = items;
    array->capacity = capacity;
    return true;
}

/* The range of a group id, or NULL if memory ran out. The table reaches up to the greatest id. */
static struct ls_group_range *range_of(struct ls_survey *survey, uint16_t group)
{
    struct ls_array *groups = &survey->groups;

    if (group >= groups->count) {
        if (!make_room(groups, group + 1 - groups->count, sizeof(struct ls_group_range)))
            return NULL;
        groups->count = (size_t)group + 1;
    }
    return (struct ls_group_range *)groups->items + group;
}

static void note_seq(struct ls_group_range *range, uint64_t seq)
{
    range->seen = true;
    if (seq == 0)
        return;
    if (range->first_seq == 0 || seq < range->first_seq)
        range->first_seq = seq;
    if (seq > range->last_seq)
        range->last_seq = seq;
}

static bool note_record(struct ls_survey *survey, const struct ls_frame *header)
{
    struct ls_array *points = &survey->points;
    struct ls_group_range *range = range_of(survey, header->group);

    if (range == NULL || !make_room(points, 1, sizeof(struct ls_point)))
        return false;
    note_seq(range, header->seq);
    if (range->record_count % survey->stride == 0)
        ((struct ls_point *)points->items)[points->count++] = (struct ls_point){
            .seq = header->seq, .lsn = header->lsn, .group = header->group};
    range->record_count++;
    survey->record_count++;
    return true;
}

/* A little-endian number in a payload. */
static uint64_t number_at(const unsigned char *bytes)
{
    uint64_t number = 0;

    for (int i = 7; i >= 0; i--)
        number = number << 8 | bytes[i];
    return number;
}

static bool is_position(uint64_t lsn)
{
    return lsn != 0 && lsn % LS_ALIGNMENT == 0;
}

/* A part of a transaction: a record, and one of the seqs that the transaction has. */
static bool note_part(struct ls_survey *survey, const struct ls_frame *header,
                      const unsigned char *payload)
{
    struct ls_part_set *set;
    uint64_t id = header->size - 1 < 8 ? 0 : number_at(payload);

    if (!is_position(id)) {
        survey->parts.odd = true;
        return note_record(survey, header);
    }
    set = ls_parts_room(&survey->parts, id, header->lsn, header->group);
    if (set == NULL || !note_record(survey, header))
        return false;
    ls_parts_add(&survey->parts, set, header->seq, header->lsn);
    return true;
}

/* Whether a commit frame says what it should: the transaction, its last part, how many parts. */
static bool is_commit(const unsigned char *payload, uint32_t length)
{
    return length == 24 && is_position(number_at(payload)) && is_position(number_at(payload + 8)) &&
           number_at(payload + 8) >= number_at(payload) && number_at(payload + 16) != 0;
}

/* What a frame that is no record does to transactions; true if that is all there is to it. */
static bool settle(struct ls_survey *survey, const struct ls_frame *header,
                   const unsigned char *payload)
{
    struct ls_parts *parts = &survey->parts;
    size_t count = survey->system.count;

    if (header->kind == LS_TXN_COMMIT && header->seq == 0 && is_commit(payload, header->size - 1))
        return ls_parts_commit(parts, number_at(payload), count);
    if ((header->kind == LS_TXN_COMMIT || header->kind == LS_TXN_ABORT) && header->size - 1 >= 8)
        ls_parts_abort(parts, number_at(payload), count);
    if (header->kind == LS_REVERT)
        ls_parts_abort_all(parts, count);
    return false;
}

static bool note_system(struct ls_survey *survey, const struct ls_frame *header,
                        const unsigned char *payload)
{
    struct ls_array *system = &survey->system;
    struct ls_array *payloads = &survey->payloads;
    /* An abandoned reservation holds zeros, up to a quarter of the ring: not worth keeping. */
    uint32_t kept = header->kind == LS_ABORT ? 0 : header->size - 1;
    struct ls_group_range *range = NULL;

    if (header->seq != 0 && (range = range_of(survey, header->group)) == NULL)
        return false;
    if (!make_room(system, 1, sizeof(struct ls_system_frame)) || !make_room(payloads, kept, 1))
        return false;
    if (range != NULL)
        note_seq(range, header->seq);
    ((struct ls_system_frame *)system->items)[system->count] = (struct ls_system_frame){
        .lsn = header->lsn, .seq = header->seq, .payload_offset = payloads->count,
        .payload_length = kept, .group = header->group, .kind = header->kind,
        .settled = settle(survey, header, payload)};
    system->count++;
    if (kept != 0)
        memcpy((unsigned char *)payloads->items + payloads->count, payload, kept);
    payloads->count += kept;
    return true;
}

static void note_batch(struct ls_survey *survey, const struct ls_frame *header)
{
    bool more = (header->flags & LS_MORE_OF_BATCH) != 0;

    if (more && !survey->in_batch)
        survey->batch_lsn = header->lsn;
    survey->in_batch = more;
}

static bool take_in(struct ls_survey *survey, const struct ls_frame *header,
                    const unsigned char *payload)
{
    uint64_t proof = ls_frame_proof(header);
    bool fits;

    if (header->kind == LS_DATA)
        fits = note_record(survey, header);
    else if (header->kind == LS_TXN_PART)
        fits = note_part(survey, header, payload);
    else
        fits = note_system(survey, header, payload);
    if (!fits)
        return false;
    note_batch(survey, header);
    if (proof > survey->proof_lsn)
        survey->proof_lsn = proof;
    return true;
}

bool ls_survey_feed(struct ls_survey *survey, const void *bytes, size_t available,
                    uint64_t limit_lsn, enum ls_verdict *verdict)
{
    const unsigned char *at = bytes;
    struct ls_frame header;
    size_t done = 0;
    bool fits = true;

    *verdict = LS_FRAME_OK;
    while (survey->end_lsn < limit_lsn) {
        *verdict = ls_frame_check(at + done, available - done, survey->end_lsn, limit_lsn,
                                  survey->salt, &header);
        if (*verdict != LS_FRAME_OK)
            break;
        fits = take_in(survey, &header, at + done + LS_FRAME_HEADER);
        if (!fits)
            break;
        done += (size_t)ls_span(header.size - 1);
        survey->end_lsn += ls_span(header.size - 1);
    }
    /* One pass over the whole extent: the checksum is three times as fast on a long input. */
    survey->digest = ls_crc32c(survey->digest, bytes, done);
    return fits;
}
