/* The Python face, reservations: reserve, and the Slot that it returns. */
#include "ring/_ring.h"

PyTypeObject *slot_type;

/* A reservation in the ring, being filled by its owner through the buffer protocol. */
typedef struct {
    PyObject_HEAD
    RingObject *owner;
    struct ls_slot slot;
    uint64_t length;
    Py_ssize_t exports;
    int done;
    int aborting; /* given up, but somebody can still write there: abort when he is gone */
} SlotObject;

static SlotObject *finished_slot(void)
{
    SlotObject *slot = (SlotObject *)((allocfunc)PyType_GetSlot(slot_type, Py_tp_alloc))(slot_type, 0);
    if (slot != NULL)
        slot->done = 1;
    return slot;
}

/* `slot` holds a reservation now. */
static PyObject *begun(RingObject *self, SlotObject *slot, uint64_t size)
{
    Py_INCREF((PyObject *)self);
    slot->owner = self;
    slot->length = size;
    slot->done = 0;
    return (PyObject *)slot;
}

/* reserve(size, timeout=None, group=0, kind=DATA) -> Slot */
PyObject *ring_reserve(RingObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct options options;
    struct ls_request want;
    SlotObject *slot;
    unsigned long long size;

    if (check_arguments(nargs, "reserve") < 0 || take_options(args + 1, nargs - 1, &options) < 0)
        return NULL;
    size = PyLong_AsUnsignedLongLong(args[0]);
    if (PyErr_Occurred())
        return NULL;
    if (size > self->ring.capacity)
        size = self->ring.capacity; /* too large in any case, and its span cannot overflow */
    slot = finished_slot();
    if (slot == NULL)
        return NULL;
    /* The in-flight word tells the span, not the length: the exact size is stored at publish. */
    want = (struct ls_request){.span = ls_span(size), .bytes = size,
                               .records = takes_seq(options.kind),
                               .group = options.group, .kind = options.kind};
    if (reserve_ring(self, &want, &slot->slot, options.timeout) < 0) {
        Py_DECREF(slot);
        return NULL;
    }
    return begun(self, slot, size);
}

/* offer_slot(size, kind) -> Slot or None: never waits, never calls the hook. */
PyObject *ring_offer_slot(RingObject *self, PyObject *args)
{
    unsigned long long size;
    unsigned int kind;
    struct ls_request want;
    SlotObject *slot;

    if (!PyArg_ParseTuple(args, "KI", &size, &kind))
        return NULL;
    slot = finished_slot();
    if (slot == NULL)
        return NULL;
    want = (struct ls_request){.span = ls_span(size < self->ring.capacity ? size : self->ring.capacity),
                               .bytes = size, .records = takes_seq((uint8_t)kind), .kind = (uint8_t)kind};
    if (!self->closed && ls_reserve(&self->ring, &want, &slot->slot) == LS_OK)
        return begun(self, slot, size);
    Py_DECREF(slot);
    Py_RETURN_NONE;
}

/* After close the frame is the committer's: its owner counts as dead. */
static void abandon(SlotObject *self)
{
    if (!self->owner->closed)
        ls_abort(&self->owner->ring, self->slot.lsn);
    self->done = 1;
    self->aborting = 0;
}

static int slot_getbuffer(SlotObject *self, Py_buffer *view, int flags)
{
    if (self->done) {
        PyErr_SetString(PyExc_BufferError, "the reservation is published or aborted already");
        return -1;
    }
    if (PyBuffer_FillInfo(view, (PyObject *)self, ls_payload(&self->owner->ring, self->slot.lsn),
                          (Py_ssize_t)self->length, 0, flags) < 0)
        return -1;
    self->exports++;
    return 0;
}

static void slot_releasebuffer(SlotObject *self, Py_buffer *view)
{
    (void)view;
    if (--self->exports == 0 && self->aborting)
        abandon(self);
}

static int finish(SlotObject *self)
{
    if (refuse_closed(self->owner) < 0)
        return -1;
    if (self->done || self->exports > 0) {
        PyErr_SetString(PyExc_BufferError, self->done ? "the reservation is finished already"
                                                      : "the buffer is still in use");
        return -1;
    }
    self->done = 1;
    return 0;
}

static PyObject *slot_publish(SlotObject *self, PyObject *unused)
{
    (void)unused;
    if (finish(self) < 0)
        return NULL;
    BEGIN_BLOCKING(self->owner)
    ls_publish(&self->owner->ring, self->slot.lsn, self->length);
    END_BLOCKING(self->owner)
    Py_RETURN_NONE;
}

/* With the buffer still exported the frame stays in flight until that ends.  Its place must not become
 * an abort frame, and later another writer's, while this one can write there: the log waits instead. */
static PyObject *slot_abort(SlotObject *self, PyObject *unused)
{
    (void)unused;
    if (self->done)
        return PyErr_Format(PyExc_BufferError, "the reservation is finished already");
    self->done = 1;
    self->aborting = 1;
    if (self->exports == 0)
        abandon(self);
    Py_RETURN_NONE;
}

static void slot_dealloc(SlotObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (!self->done)
        abandon(self);
    Py_XDECREF((PyObject *)self->owner);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *slot_lsn(SlotObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->slot.lsn);
}

static PyObject *slot_seq(SlotObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->slot.seq);
}

static PyMethodDef slot_methods[] = {
    {"publish", (PyCFunction)(void (*)(void))slot_publish, METH_NOARGS, NULL},
    {"abort", (PyCFunction)(void (*)(void))slot_abort, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef slot_getset[] = {
    {"lsn", (getter)slot_lsn, NULL, NULL, NULL},
    {"seq", (getter)slot_seq, NULL, NULL, NULL},
    {0},
};

static PyType_Slot slot_slots[] = {
    {Py_tp_dealloc, slot_dealloc},
    {Py_tp_methods, slot_methods},
    {Py_tp_getset, slot_getset},
    {Py_bf_getbuffer, slot_getbuffer},
    {Py_bf_releasebuffer, slot_releasebuffer},
    {Py_tp_doc, "A reservation being filled; see _ring.pyi."},
    {0, NULL},
};

PyType_Spec slot_spec = {
    .name = "logstore.ring._ring.Slot",
    .basicsize = sizeof(SlotObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slot_slots,
};
