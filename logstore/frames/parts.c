/* The parts of transactions in a byte range. */
#include "frames/parts.h"

#include <stdlib.h>

void ls_parts_begin(struct ls_parts *parts)
{
    *parts = (struct ls_parts){0};
    parts->ended_tail = &parts->ended;
}

static void free_one(struct ls_transaction_parts *one)
{
    struct ls_part_set *set, *next;

    for (set = one->sets; set != NULL; set = next) {
        next = set->next;
        free(set->ranges);
        free(set);
    }
    free(one);
}

static void free_all(struct ls_transaction_parts *one)
{
    struct ls_transaction_parts *next;

    for (; one != NULL; one = next) {
        next = one->next;
        free_one(one);
    }
}

void ls_parts_end(struct ls_parts *parts)
{
    for (size_t i = 0; i < parts->bucket_count; i++)
        free_all(parts->buckets[i]);
    free(parts->buckets);
    free_all(parts->ended);
}

static struct ls_transaction_parts **bucket_of(const struct ls_parts *parts, uint64_t id)
{
    return parts->buckets + ((id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (parts->bucket_count - 1));
}

/* Where the link to a transaction is, or would be: a link to NULL. */
static struct ls_transaction_parts **link_to(const struct ls_parts *parts, uint64_t id)
{
    struct ls_transaction_parts **link = bucket_of(parts, id);

    while (*link != NULL && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

/* Double the table when it is as full as it is long; a table that cannot grow gets slower. */
static bool make_buckets(struct ls_parts *parts)
{
    size_t old_count = parts->bucket_count, count = old_count ? 2 * old_count : 64;
    struct ls_transaction_parts **old = parts->buckets, **buckets;

    if (parts->open_count < old_count)
        return true;
    buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return old_count != 0;
    parts->buckets = buckets;
    parts->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (struct ls_transaction_parts *one = old[i], *next; one != NULL; one = next) {
            struct ls_transaction_parts **bucket = bucket_of(parts, one->id);
            next = one->next;
            one->next = *bucket;
            *bucket = one;
        }
    free(old);
    return true;
}

static struct ls_transaction_parts *transaction_of(struct ls_parts *parts, uint64_t id,
                                                   uint64_t lsn)
{
    struct ls_transaction_parts **link, *one;

    if (!make_buckets(parts))
        return NULL;
    link = link_to(parts, id);
    if (*link == NULL && (one = calloc(1, sizeof *one)) != NULL) {
        one->id = id;
        one->begun = id == lsn;
        *link = one;
        parts->open_count++;
    }
    return *link;
}

struct ls_part_set *ls_parts_room(struct ls_parts *parts, uint64_t id, uint64_t lsn,
                                  uint16_t group)
{
    struct ls_transaction_parts *one = transaction_of(parts, id, lsn);
    struct ls_part_set **link, *set;

    if (one == NULL)
        return NULL;
    for (link = &one->sets; *link != NULL && (*link)->group != group;)
        link = &(*link)->next;
    if (*link == NULL) {
        *link = calloc(1, sizeof **link);
        if (*link == NULL)
            return NULL;
        (*link)->group = group;
    }
    set = *link;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 1;
        struct ls_range *ranges = realloc(set->ranges, capacity * sizeof *ranges);
        if (ranges == NULL)
            return NULL;
        set->ranges = ranges;
        set->capacity = capacity;
    }
    return set;
}

void ls_parts_add(struct ls_parts *parts, struct ls_part_set *set, uint64_t seq, uint64_t lsn)
{
    struct ls_range *last = set->count ? set->ranges + set->count - 1 : NULL;

    set->last_lsn = lsn;
    if (seq == 0 || (last != NULL && seq <= last->last))
        parts->odd = true;
    else if (last != NULL && seq == last->last + 1)
        last->last = seq;
    else
        set->ranges[set->count++] = (struct ls_range){seq, seq};
}

/* Take a transaction out of the table; NULL if it is not there. */
static struct ls_transaction_parts *taken(struct ls_parts *parts, uint64_t id)
{
    struct ls_transaction_parts **link, *one;

    if (parts->bucket_count == 0)
        return NULL;
    link = link_to(parts, id);
    one = *link;
    if (one != NULL) {
        *link = one->next;
        parts->open_count--;
    }
    return one;
}

static void tell(struct ls_parts *parts, struct ls_transaction_parts *one, size_t system_count)
{
    one->ended_before = system_count;
    one->next = NULL;
    *parts->ended_tail = one;
    parts->ended_tail = &one->next;
}

bool ls_parts_commit(struct ls_parts *parts, uint64_t id, size_t system_count)
{
    struct ls_transaction_parts *one = taken(parts, id);

    if (one == NULL)
        return false;
    if (one->begun) {
        free_one(one);
        return true;
    }
    tell(parts, one, system_count);
    return false;
}

void ls_parts_abort(struct ls_parts *parts, uint64_t id, size_t system_count)
{
    struct ls_transaction_parts *one = taken(parts, id);

    if (one != NULL)
        tell(parts, one, system_count);
}

void ls_parts_abort_all(struct ls_parts *parts, size_t system_count)
{
    for (size_t i = 0; i < parts->bucket_count; i++)
        while (parts->buckets[i] != NULL)
            ls_parts_abort(parts, parts->buckets[i]->id, system_count);
}
