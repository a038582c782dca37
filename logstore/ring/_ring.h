/* What the files of the Python face share. */
#ifndef LOGSTORE_RING_FACE_H
#define LOGSTORE_RING_FACE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ring/ring.h"

/* A blocking call comes back to Python at least this often, to look whether the service lives. */
#define SLICE_NS UINT64_C(250000000)
/* From this payload size on, filling is done without the GIL. */
#define LARGE_PAYLOAD 65536u
/* A status for the hook that ring.h does not know: this attachment was closed. */
#define STATUS_CLOSED 20
/* Likewise: a slice ended without success, and there is time left. */
#define STATUS_STALLED 21
/* Likewise: a wait has succeeded, but something was reverted in this run: is it still there? */
#define STATUS_REVERTS 22

typedef struct {
    PyObject_HEAD
    struct ls_ring ring;
    void *mapping; /* header, ring and the ring again, in one address range */
    size_t mapping_size;
    PyObject *hook; /* called with (status, detail) when the ring cannot go on; raises or returns */
    int closed;
    int blocking; /* threads inside a call that has released the GIL */
    uint64_t ask_at;   /* a wait for an LSN from here on may ask for the next sync, */
    uint64_t asked_to; /* if the last one asked for was only this far; 0: none has been */
} RingObject;

/* Release the GIL around a call into the ring, and let close() know that we are in there. */
#define BEGIN_BLOCKING(self) { (self)->blocking++; Py_BEGIN_ALLOW_THREADS
#define END_BLOCKING(self) Py_END_ALLOW_THREADS (self)->blocking--; }

extern PyType_Spec slot_spec;
extern PyType_Spec delivery_spec;

/* Where and when a reservation is to be made; the optional arguments (timeout, group, kind). */
struct options {
    PyObject *timeout;
    uint16_t group;
    uint8_t kind;
    uint64_t unreverted_since;
};

int check_arguments(Py_ssize_t nargs, const char *name);
int take_options(PyObject *const *args, Py_ssize_t nargs, struct options *options);
uint32_t takes_seq(uint8_t kind);
int reserve_ring(RingObject *self, const struct ls_request *want, struct ls_slot *slot,
                 PyObject *timeout);

uint64_t deadline_of(PyObject *timeout, int *failed);
int call_hook(RingObject *self, int status, uint64_t detail);
int refuse_closed(RingObject *self);
_Atomic uint64_t *word_at(RingObject *self, unsigned long long offset);

PyObject *ring_append(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_append_many(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_append_part(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_offer_slot(RingObject *self, PyObject *args);
PyObject *ring_offer(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_reserve(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_deliver(RingObject *self, PyObject *args);
PyObject *ring_wait(RingObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *ring_poll(RingObject *self, PyObject *const *args, Py_ssize_t nargs);

PyObject *ring_walk(RingObject *self, PyObject *args);
PyObject *ring_abort_dead(RingObject *self, PyObject *args);
PyObject *ring_next_boundary(RingObject *self, PyObject *lsn);
PyObject *ring_discard(RingObject *self, PyObject *args);
PyObject *ring_advance(RingObject *self, PyObject *args);
PyObject *ring_committer_idle(RingObject *self, PyObject *args);
PyObject *ring_syncer_idle(RingObject *self, PyObject *args);
PyObject *ring_keep_writing(RingObject *self, PyObject *args);
PyObject *ring_keep_syncing(RingObject *self, PyObject *args);
PyObject *ring_sound(RingObject *self, PyObject *unused);
PyObject *ring_count_drain(RingObject *self, PyObject *bytes);
PyObject *ring_count_sync(RingObject *self, PyObject *args);
PyObject *ring_set_state(RingObject *self, PyObject *args);
PyObject *ring_repair(RingObject *self, PyObject *dead);
PyObject *ring_revert(RingObject *self, PyObject *args);
PyObject *ring_post(RingObject *self, PyObject *unused);
PyObject *ring_wake_committer(RingObject *self, PyObject *unused);
PyObject *ring_knock(RingObject *self, PyObject *unused);
PyObject *ring_removed(RingObject *self, PyObject *unused);
PyObject *ring_readable(RingObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *ring_await_knock(RingObject *self, PyObject *args);

PyObject *layout_dict(void);
PyObject *append_to(RingObject *self, PyObject *payload, uint16_t group);
int passed(RingObject *self, uint64_t lsn);
PyObject *wait_until(RingObject *self, enum ls_level level, uint64_t lsn, uint64_t deadline);
int add_appenders(PyObject *module);
extern PyTypeObject *ring_type;
extern PyTypeObject *slot_type;
extern PyTypeObject *delivery_type;

#endif
