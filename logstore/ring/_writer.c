/* The Python face, the writers' part: append, append_many, offer, wait. */
#include "ring/_ring.h"

#include <string.h>

/* A payload's bytes, pinned while they are copied.  A bytes object needs no pin. */
struct payload {
    const void *bytes;
    uint64_t length;
    Py_buffer view; /* view.obj is NULL when nothing is pinned */
};

static int take_payload(PyObject *object, struct payload *payload)
{
    payload->view.obj = NULL;
    if (PyBytes_CheckExact(object)) {
        payload->bytes = PyBytes_AsString(object);
        payload->length = (uint64_t)PyBytes_Size(object);
        return 0;
    }
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError,
                     "a payload is a contiguous buffer (bytes, bytearray, memoryview, array); "
                     "%R is none: encode it first",
                     Py_TYPE(object));
        return -1;
    }
    if (PyObject_GetBuffer(object, &payload->view, PyBUF_ANY_CONTIGUOUS) < 0)
        return -1;
    payload->bytes = payload->view.buf;
    payload->length = (uint64_t)payload->view.len;
    return 0;
}

static void drop_payload(struct payload *payload)
{
    if (payload->view.obj != NULL)
        PyBuffer_Release(&payload->view);
}

int take_options(PyObject *const *args, Py_ssize_t nargs, struct options *options)
{
    unsigned long group = nargs > 1 ? PyLong_AsUnsignedLong(args[1]) : 0;
    unsigned long kind = nargs > 2 ? PyLong_AsUnsignedLong(args[2]) : LS_DATA;
    unsigned long long since = nargs > 3 ? PyLong_AsUnsignedLongLong(args[3]) : 0;
    if (PyErr_Occurred())
        return -1;
    if (group >= LS_GROUPS || kind > 255) {
        PyErr_SetString(PyExc_ValueError, "group or kind out of range");
        return -1;
    }
    options->timeout = nargs > 0 ? args[0] : NULL;
    options->group = (uint16_t)group;
    options->kind = (uint8_t)kind;
    options->unreverted_since = since;
    return 0;
}

/* Only records are numbered; frames about records are not. */
uint32_t takes_seq(uint8_t kind)
{
    return kind == LS_DATA || kind == LS_TXN_PART;
}

/* Go on after `status`, not LS_OK, at the end of a slice or at once: raise, or agree to try again. */
static int go_on(RingObject *self, enum ls_status status, uint64_t deadline_ns, uint64_t span)
{
    if (status == LS_INTERRUPTED)
        return PyErr_CheckSignals();
    if ((status == LS_TOO_LARGE || status == LS_WRONG_STATE || status == LS_REVERTED) &&
        call_hook(self, status, span) < 0)
        return -1;
    if (ls_now_ns() < deadline_ns)
        return call_hook(self, STATUS_STALLED, span);
    if (call_hook(self, LS_TIMED_OUT, status) == 0)
        PyErr_SetString(PyExc_TimeoutError, "timed out");
    return -1;
}

static uint64_t slice_end(uint64_t deadline_ns)
{
    uint64_t end = ls_now_ns() + SLICE_NS;
    return end < deadline_ns ? end : deadline_ns;
}

/* The reservation was not to be had at once: sleep for it. */
static int reserve_slowly(RingObject *self, const struct ls_request *want, struct ls_slot *slot,
                          enum ls_status status, PyObject *timeout)
{
    uint64_t began = ls_now_ns();
    int failed;
    uint64_t deadline = deadline_of(timeout, &failed);
    struct ls_client *me = ls_self(&self->ring);

    if (failed)
        return -1;
    if ((status == LS_TOO_LARGE || status == LS_WRONG_STATE || status == LS_REVERTED ||
         deadline <= began) &&
        go_on(self, status, deadline, want->span) < 0)
        return -1;
    do {
        uint64_t end = slice_end(deadline);
        BEGIN_BLOCKING(self)
        status = ls_reserve_until(&self->ring, want, slot, end);
        END_BLOCKING(self)
        if (status != LS_OK && (refuse_closed(self) < 0 || go_on(self, status, deadline, want->span) < 0))
            return -1;
    } while (status != LS_OK);
    atomic_fetch_add_explicit(&me->stalls, 1, memory_order_relaxed);
    ls_histogram_add(me->append_stall, ls_now_ns() - began);
    return 0;
}

int reserve_ring(RingObject *self, const struct ls_request *want, struct ls_slot *slot,
                   PyObject *timeout)
{
    enum ls_status status;
    if (refuse_closed(self) < 0)
        return -1;
    status = ls_reserve(&self->ring, want, slot);
    return status == LS_OK ? 0 : reserve_slowly(self, want, slot, status, timeout);
}

static void fill(RingObject *self, const struct ls_slot *slot, const struct payload *payload)
{
    if (payload->length < LARGE_PAYLOAD) {
        ls_fill(&self->ring, slot, payload->bytes, payload->length);
        return;
    }
    BEGIN_BLOCKING(self)
    ls_fill(&self->ring, slot, payload->bytes, payload->length);
    END_BLOCKING(self)
}

int check_arguments(Py_ssize_t nargs, const char *name)
{
    if (nargs >= 1 && nargs <= 5)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s takes 1 to 5 positional arguments", name);
    return -1;
}

static PyObject *append(RingObject *self, PyObject *object, const struct options *options)
{
    struct payload payload;
    struct ls_request want;
    struct ls_slot slot;
    int failed;

    if (take_payload(object, &payload) < 0)
        return NULL;
    want = (struct ls_request){.span = ls_span(payload.length),
                               .bytes = payload.length,
                               .records = takes_seq(options->kind),
                               .group = options->group,
                               .kind = options->kind,
                               .unreverted_since = options->unreverted_since};
    failed = reserve_ring(self, &want, &slot, options->timeout);
    if (!failed)
        fill(self, &slot, &payload);
    drop_payload(&payload);
    return failed ? NULL : PyLong_FromUnsignedLongLong(slot.lsn);
}

/* Append a record to a group; waits for room as long as it takes. */
PyObject *append_to(RingObject *self, PyObject *payload, uint16_t group)
{
    struct options options = {.timeout = Py_None, .group = group, .kind = LS_DATA};
    return append(self, payload, &options);
}

/* append(payload, timeout=None, group=0, kind=DATA, unreverted_since=0) -> lsn */
PyObject *ring_append(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct options options;
    if (check_arguments(nargs, "append") < 0 || take_options(args + 1, nargs - 1, &options) < 0)
        return NULL;
    return append(self, args[0], &options);
}

/* append_part(payload, timeout, group, transaction) -> (lsn, seq); 0: this is the first part. */
PyObject *ring_append_part(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct payload payload;
    struct options options;
    struct ls_request want;
    struct ls_slot slot;
    uint64_t transaction;
    int failed;

    if (nargs != 4)
        return PyErr_Format(PyExc_TypeError, "append_part(payload, timeout, group, transaction)");
    transaction = PyLong_AsUnsignedLongLong(args[3]);
    if (PyErr_Occurred() || take_options(args + 1, 2, &options) < 0 ||
        take_payload(args[0], &payload) < 0)
        return NULL;
    want = (struct ls_request){.span = ls_span(sizeof transaction + payload.length),
                               .bytes = payload.length,
                               .records = 1,
                               .group = options.group,
                               .kind = LS_TXN_PART};
    failed = reserve_ring(self, &want, &slot, options.timeout);
    if (!failed)
        ls_fill_part(&self->ring, &slot, transaction, payload.bytes, payload.length);
    drop_payload(&payload);
    return failed ? NULL : Py_BuildValue("KK", (unsigned long long)slot.lsn, (unsigned long long)slot.seq);
}

/* offer(payload, timeout, group, kind) -> lsn or -1: never waits, never calls the hook. */
PyObject *ring_offer(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct payload payload;
    struct options options;
    struct ls_request want;
    struct ls_slot slot;
    enum ls_status status;

    if (check_arguments(nargs, "offer") < 0 || take_options(args + 1, nargs - 1, &options) < 0 ||
        take_payload(args[0], &payload) < 0)
        return NULL;
    want = (struct ls_request){.span = ls_span(payload.length),
                               .bytes = payload.length,
                               .records = takes_seq(options.kind),
                               .group = options.group,
                               .kind = options.kind};
    status = self->closed ? LS_WRONG_STATE : ls_reserve(&self->ring, &want, &slot);
    if (status == LS_OK)
        ls_fill(&self->ring, &slot, payload.bytes, payload.length);
    drop_payload(&payload);
    return PyLong_FromLongLong(status == LS_OK ? (long long)slot.lsn : -1);
}

struct batch {
    struct payload *payloads;
    struct ls_part *parts;
    Py_ssize_t count;
    uint64_t span;
    uint64_t bytes;
};

static void drop_batch(struct batch *batch)
{
    for (Py_ssize_t i = 0; i < batch->count; i++)
        drop_payload(&batch->payloads[i]);
    PyMem_Free(batch->payloads);
    PyMem_Free(batch->parts);
}

/* `items` is a tuple, and outlives the batch. */
static int take_batch(PyObject *items, struct batch *batch)
{
    Py_ssize_t count = PyTuple_Size(items);

    *batch = (struct batch){.payloads = PyMem_Calloc((size_t)count + 1, sizeof(struct payload)),
                            .parts = PyMem_Calloc((size_t)count + 1, sizeof(struct ls_part))};
    if (batch->payloads == NULL || batch->parts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct payload *payload = &batch->payloads[i];
        PyObject *item = PyTuple_GetItem(items, i);
        if (item == NULL || take_payload(item, payload) < 0)
            return -1;
        batch->count = i + 1;
        batch->parts[i] = (struct ls_part){payload->bytes, payload->length};
        batch->span += ls_span(payload->length);
        batch->bytes += payload->length;
    }
    return 0;
}

static PyObject *lsns_of(const struct batch *batch, uint64_t lsn)
{
    PyObject *list = PyList_New(batch->count);
    for (Py_ssize_t i = 0; list != NULL && i < batch->count; i++) {
        PyList_SetItem(list, i, PyLong_FromUnsignedLongLong(lsn));
        lsn += ls_span(batch->parts[i].length);
    }
    return list;
}

static PyObject *append_batch(RingObject *self, struct batch *batch, const struct options *options)
{
    struct ls_request want = {.span = batch->span,
                              .bytes = batch->bytes,
                              .records = (uint32_t)batch->count,
                              .group = options->group,
                              .kind = options->kind};
    struct ls_slot slot;

    if (batch->count == 0)
        return refuse_closed(self) < 0 ? NULL : PyList_New(0);
    if (reserve_ring(self, &want, &slot, options->timeout) < 0)
        return NULL;
    if (batch->bytes < LARGE_PAYLOAD) {
        ls_fill_batch(&self->ring, &slot, batch->parts, (size_t)batch->count, want.group, want.kind);
    } else {
        BEGIN_BLOCKING(self)
        ls_fill_batch(&self->ring, &slot, batch->parts, (size_t)batch->count, want.group, want.kind);
        END_BLOCKING(self)
    }
    return lsns_of(batch, slot.lsn);
}

/* append_many(payloads: list | tuple, timeout=None, group=0, kind=DATA) -> [lsn, ...] */
PyObject *ring_append_many(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct options options;
    struct batch batch;
    PyObject *items;
    PyObject *result = NULL;

    if (check_arguments(nargs, "append_many") < 0 || take_options(args + 1, nargs - 1, &options) < 0)
        return NULL;
    /* A tuple of our own: another thread may change the caller's list while the GIL is released. */
    items = PySequence_Tuple(args[0]);
    if (items == NULL)
        return NULL;
    if (take_batch(items, &batch) == 0)
        result = append_batch(self, &batch, &options);
    drop_batch(&batch);
    Py_DECREF(items);
    return result;
}

/* The record is as durable as asked for; but if anything was reverted, Python looks whether it was. */
static PyObject *waited(RingObject *self, uint64_t lsn)
{
    if (atomic_load_explicit(&self->ring.region->newest_revert_lsn, memory_order_acquire) != 0 &&
        call_hook(self, STATUS_REVERTS, lsn) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Ask for the next sync ahead of its need.
 *
 * Who keeps many records in flight and waits for each finds most of them durable. Each time that nobody has
 * asked for the newer half of what it has in flight, that is asked for: one half is synced while it goes on
 * with the other, and not only once it has to sleep. */
static void ask_ahead(RingObject *self, uint64_t lsn)
{
    struct ls_region *region = self->ring.region;
    uint64_t head, asked, half;

    if (lsn < self->ask_at || self->asked_to == 0)
        return;
    head = atomic_load_explicit(&region->head, memory_order_relaxed);
    asked = atomic_load_explicit(&region->synced, memory_order_relaxed);
    asked = asked > self->asked_to ? asked : self->asked_to;
    half = (head - lsn) / 2;
    self->ask_at = lsn + half;
    if (head > asked && head - asked >= half) {
        self->asked_to = head;
        ls_demand(&self->ring, LS_LEVEL_SYNCED, head - 1);
    } else if (head > asked) {
        self->ask_at -= head - asked; /* then it is half, if as much is in flight as now */
    }
}

/* Is the record at `lsn` durable already, and is nothing reverted?  Who keeps many records in flight comes
 * here for most of them. */
int passed(RingObject *self, uint64_t lsn)
{
    if (self->closed || !ls_passed(&self->ring, LS_LEVEL_SYNCED, lsn) ||
        atomic_load_explicit(&self->ring.region->newest_revert_lsn, memory_order_acquire) != 0)
        return 0;
    ask_ahead(self, lsn);
    return 1;
}

/* Wait until the watermark of `level` exceeds lsn; return None. */
PyObject *wait_until(RingObject *self, enum ls_level level, uint64_t lsn, uint64_t deadline)
{
    struct ls_client *me = ls_self(&self->ring);
    uint64_t began;
    enum ls_status status;

    if (refuse_closed(self) < 0)
        return NULL;
    if (ls_passed(&self->ring, level, lsn))
        return waited(self, lsn);
    began = ls_now_ns();
    if (level == LS_LEVEL_SYNCED) {
        self->ask_at = lsn;
        if (self->asked_to <= lsn)
            self->asked_to = lsn + 1;
    }
    do {
        uint64_t end = slice_end(deadline);
        BEGIN_BLOCKING(self)
        ls_demand(&self->ring, level, lsn);
        status = ls_wait(&self->ring, level, lsn, end);
        END_BLOCKING(self)
        if (status != LS_OK && (refuse_closed(self) < 0 || go_on(self, status, deadline, lsn) < 0))
            return NULL;
    } while (status != LS_OK);
    if (level == LS_LEVEL_SYNCED && self->ring.semaphore != NULL)
        ls_histogram_add(me->durable_wait, ls_now_ns() - began);
    return waited(self, lsn);
}

/* wait(level, lsn, timeout=None): until the watermark of `level` exceeds lsn. */
PyObject *ring_wait(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    enum ls_level level;
    uint64_t lsn, deadline;
    int failed;

    if (nargs < 2 || nargs > 3)
        return PyErr_Format(PyExc_TypeError, "wait(level, lsn, timeout=None)");
    level = (enum ls_level)PyLong_AsLong(args[0]);
    lsn = PyLong_AsUnsignedLongLong(args[1]);
    deadline = PyErr_Occurred() ? 0 : deadline_of(nargs > 2 ? args[2] : NULL, &failed);
    return PyErr_Occurred() ? NULL : wait_until(self, level, lsn, deadline);
}

/* poll(level, lsn, timeout) -> has the watermark of `level` passed lsn?  One slice, no hook. */
PyObject *ring_poll(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    enum ls_level level;
    uint64_t lsn, deadline;
    enum ls_status status;
    int failed;

    if (nargs != 3)
        return PyErr_Format(PyExc_TypeError, "poll(level, lsn, timeout)");
    level = (enum ls_level)PyLong_AsLong(args[0]);
    lsn = PyLong_AsUnsignedLongLong(args[1]);
    deadline = deadline_of(args[2], &failed);
    if (failed || PyErr_Occurred())
        return NULL;
    BEGIN_BLOCKING(self)
    ls_demand(&self->ring, level, lsn);
    status = ls_wait(&self->ring, level, lsn, deadline);
    END_BLOCKING(self)
    if (status == LS_INTERRUPTED && PyErr_CheckSignals() < 0)
        return NULL;
    return PyBool_FromLong(status == LS_OK);
}
