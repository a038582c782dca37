/* The Python face, the workers' part: the committer's walk, advancing watermarks, idling, repair. */
#include <errno.h>

#include "ring/_ring.h"

/* walk(from_lsn, most, verify) -> (to, stop, at, owner) */
PyObject *ring_walk(RingObject *self, PyObject *args)
{
    unsigned long long from, most;
    int verify;
    struct ls_extent extent;
    if (!PyArg_ParseTuple(args, "KKp", &from, &most, &verify))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    ls_walk(&self->ring, from, most, verify, &extent);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("KiKI", (unsigned long long)extent.to, (int)extent.stop,
                         (unsigned long long)extent.at, (unsigned int)extent.owner);
}

/* abort_dead(lsn, owner) -> bool: abort what a dead owner left in flight, and nothing else. */
PyObject *ring_abort_dead(RingObject *self, PyObject *args)
{
    unsigned long long lsn;
    unsigned int owner;
    int aborted;
    if (!PyArg_ParseTuple(args, "KI", &lsn, &owner))
        return NULL;
    aborted = ls_abort_dead(&self->ring, lsn, owner);
    if (aborted)
        atomic_fetch_add_explicit(&self->ring.region->aborts, 1, memory_order_relaxed);
    return PyBool_FromLong(aborted);
}

/* next_boundary(lsn) -> where the next frame begins, or the head */
PyObject *ring_next_boundary(RingObject *self, PyObject *lsn)
{
    unsigned long long from = PyLong_AsUnsignedLongLong(lsn);
    uint64_t end = atomic_load_explicit(&self->ring.region->head, memory_order_acquire);
    if (PyErr_Occurred())
        return NULL;
    if (from % LS_ALIGNMENT != 0 || end - from > self->ring.capacity)
        return PyLong_FromUnsignedLongLong(end);
    return PyLong_FromUnsignedLongLong(ls_next_boundary(&self->ring, from, end));
}

/* discard(lsn, span): replace what a hostile or broken writer left by an abort frame. */
PyObject *ring_discard(RingObject *self, PyObject *args)
{
    unsigned long long lsn, span;
    if (!PyArg_ParseTuple(args, "KK", &lsn, &span))
        return NULL;
    ls_discard(&self->ring, lsn, span);
    atomic_fetch_add_explicit(&self->ring.region->aborts, 1, memory_order_relaxed);
    Py_RETURN_NONE;
}

/* advance(level, to) */
PyObject *ring_advance(RingObject *self, PyObject *args)
{
    int level;
    unsigned long long to;
    if (!PyArg_ParseTuple(args, "iK", &level, &to))
        return NULL;
    if (level == LS_LEVEL_SYNCED)
        ls_advance_synced(&self->ring, to);
    else if (level == LS_LEVEL_WRITTEN)
        ls_advance_written(&self->ring, to);
    else
        ls_advance_published(&self->ring, to);
    Py_RETURN_NONE;
}

/* committer_idle(mode, blocked_lsn, state, timeout, fd, origin, end) */
PyObject *ring_committer_idle(RingObject *self, PyObject *args)
{
    struct ls_file file;
    int mode;
    unsigned long long blocked_lsn, state, origin, end;
    double timeout;
    uint64_t deadline;
    if (!PyArg_ParseTuple(args, "iKKdiKK", &mode, &blocked_lsn, &state, &timeout, &file.fd, &origin, &end))
        return NULL;
    file.origin = origin;
    file.end = end;
    deadline = ls_now_ns() + (uint64_t)(timeout * 1e9);
    Py_BEGIN_ALLOW_THREADS
    ls_committer_idle(&self->ring, &file, (enum ls_mode)mode, blocked_lsn, state, deadline);
    Py_END_ALLOW_THREADS
    if (PyErr_CheckSignals() < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* keep_writing(blocked_lsn, state, fd, origin, end) -> is there something for the step? */
PyObject *ring_keep_writing(RingObject *self, PyObject *args)
{
    struct ls_file file;
    unsigned long long blocked_lsn, state, origin, end;
    uint64_t blocked;
    int more;
    if (!PyArg_ParseTuple(args, "KKiKK", &blocked_lsn, &state, &file.fd, &origin, &end))
        return NULL;
    blocked = blocked_lsn;
    file.origin = origin;
    file.end = end;
    Py_BEGIN_ALLOW_THREADS
    more = ls_keep_writing(&self->ring, &file, &blocked, state);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(more);
}

/* Is there something for the syncer's step? `more` is -1 and `number` an errno if the disk refused. */
static PyObject *more_or_error(int more, int number)
{
    if (more >= 0)
        return PyBool_FromLong(more);
    errno = number;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* keep_syncing(state, fd, segments) -> is there something for the step? OSError if the disk refused. */
PyObject *ring_keep_syncing(RingObject *self, PyObject *args)
{
    unsigned long long state, segments;
    int fd, more, number;
    if (!PyArg_ParseTuple(args, "KiK", &state, &fd, &segments))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    more = ls_keep_syncing(&self->ring, fd, segments, state);
    number = errno;
    Py_END_ALLOW_THREADS
    return more_or_error(more, number);
}

/* syncer_idle(mode, state, timeout, fd, segments) -> as keep_syncing */
PyObject *ring_syncer_idle(RingObject *self, PyObject *args)
{
    unsigned long long state, segments;
    int mode, fd, more, number;
    double timeout;
    uint64_t deadline;
    if (!PyArg_ParseTuple(args, "iKdiK", &mode, &state, &timeout, &fd, &segments))
        return NULL;
    deadline = ls_now_ns() + (uint64_t)(timeout * 1e9);
    Py_BEGIN_ALLOW_THREADS
    more = ls_syncer_idle(&self->ring, fd, segments, (enum ls_mode)mode, state, deadline);
    number = errno;
    Py_END_ALLOW_THREADS
    if (more >= 0 && PyErr_CheckSignals() < 0)
        return NULL;
    return more_or_error(more, number);
}

/* sound() -> can the words of the region all be true? */
PyObject *ring_sound(RingObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(ls_sound(&self->ring));
}

PyObject *ring_count_drain(RingObject *self, PyObject *bytes)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(bytes);
    if (PyErr_Occurred())
        return NULL;
    ls_count_drain(&self->ring, value);
    Py_RETURN_NONE;
}

PyObject *ring_count_sync(RingObject *self, PyObject *args)
{
    unsigned long long bytes, elapsed_ns;
    if (!PyArg_ParseTuple(args, "KK", &bytes, &elapsed_ns))
        return NULL;
    ls_count_sync(&self->ring, bytes, elapsed_ns);
    Py_RETURN_NONE;
}

/* set_state(state, timeout=None) -> bool: with a timeout, under the guard. */
PyObject *ring_set_state(RingObject *self, PyObject *args)
{
    int state, failed;
    PyObject *timeout = Py_None;
    uint64_t deadline;
    enum ls_status status = LS_OK;
    if (!PyArg_ParseTuple(args, "i|O", &state, &timeout))
        return NULL;
    deadline = deadline_of(timeout, &failed);
    if (failed)
        return NULL;
    if (timeout == Py_None) {
        ls_set_state(&self->ring, (enum ls_state)state);
        Py_RETURN_TRUE;
    }
    do {
        Py_BEGIN_ALLOW_THREADS
        status = ls_set_state_guarded(&self->ring, (enum ls_state)state, deadline);
        Py_END_ALLOW_THREADS
        if (status == LS_INTERRUPTED && PyErr_CheckSignals() < 0)
            return NULL;
    } while (status == LS_INTERRUPTED);
    return PyBool_FromLong(status == LS_OK);
}

PyObject *ring_repair(RingObject *self, PyObject *dead)
{
    unsigned long token = PyLong_AsUnsignedLong(dead);
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(ls_guard_repair(&self->ring, (uint32_t)token));
}

/* revert(payload, known, timeout) -> lsn of the revert frame, or -1: look again, and try again. */
PyObject *ring_revert(RingObject *self, PyObject *args)
{
    Py_buffer payload;
    double timeout;
    struct ls_slot slot;
    enum ls_status status;
    unsigned long long known;
    uint64_t deadline;
    if (!PyArg_ParseTuple(args, "y*Kd", &payload, &known, &timeout))
        return NULL;
    deadline = ls_now_ns() + (uint64_t)(timeout * 1e9);
    Py_BEGIN_ALLOW_THREADS
    status = ls_revert(&self->ring, payload.buf, (uint64_t)payload.len, known, &slot, deadline);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&payload);
    if (status == LS_INTERRUPTED && PyErr_CheckSignals() < 0)
        return NULL;
    return PyLong_FromLongLong(status == LS_OK ? (long long)slot.lsn : -1);
}

PyObject *ring_post(RingObject *self, PyObject *unused)
{
    (void)unused;
    ls_guard_post(&self->ring);
    Py_RETURN_NONE;
}

/* knock(): tell the supervisor that the client table changed. */
PyObject *ring_knock(RingObject *self, PyObject *unused)
{
    (void)unused;
    ls_knock(&self->ring);
    Py_RETURN_NONE;
}

/* wake_committer(): there is work for it that is no record. */
PyObject *ring_wake_committer(RingObject *self, PyObject *unused)
{
    (void)unused;
    ls_wake_worker(&self->ring.region->committer_mode);
    Py_RETURN_NONE;
}

/* await_knock(seen, timeout) -> the count of knocks, once it differs from `seen` or time is up. */
PyObject *ring_await_knock(RingObject *self, PyObject *args)
{
    unsigned int seen;
    double timeout;
    _Atomic uint32_t *word = &self->ring.region->attach_count;
    if (!PyArg_ParseTuple(args, "Id", &seen, &timeout))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    ls_wait_change(word, seen, ls_now_ns() + (uint64_t)(timeout * 1e9));
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLong(atomic_load_explicit(word, memory_order_acquire));
}
