/* The Python face, readers' part: whether files may be read at once, and an iterator over records that looks
 * at a word before each one. */
#include "ring/_ring.h"

PyTypeObject *delivery_type;

/* A number that grows when segments have been removed.
 * Crash: after a committer that died once it removed some and before it counted them, there is another. */
static uint64_t removed(const struct ls_region *region)
{
    return atomic_load_explicit(&region->compact_bytes, memory_order_acquire) +
           atomic_load_explicit(&region->clients[LS_COMMITTER].generation, memory_order_acquire);
}

/* removed() -> that number */
PyObject *ring_removed(RingObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(removed(self->ring.region));
}

/* readable(lsn, removed) -> up to where the files have been written, or 0
 *
 * 0 if anything is out of the ordinary: no LSN, one before the start, something was ever reverted, segments
 * have been removed since that number was taken. */
PyObject *ring_readable(RingObject *self, PyObject *const *args, Py_ssize_t count)
{
    const struct ls_region *region = self->ring.region;
    uint64_t lsn, seen, written = 0;

    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "readable() takes 2 positional arguments");
    if (PyLong_CheckExact(args[0])) {
        lsn = PyLong_AsUnsignedLongLong(args[0]);
        seen = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(args[1]);
        if (PyErr_Occurred())
            PyErr_Clear(); /* negative, or too large for an LSN */
        else if (atomic_load_explicit(&region->newest_revert_lsn, memory_order_acquire) == 0 &&
                 lsn >= atomic_load_explicit(&region->start, memory_order_acquire) && seen == removed(region))
            written = atomic_load_explicit(&region->written, memory_order_acquire);
    }
    return PyLong_FromUnsignedLongLong(written);
}

/* Gives a list's records while a word of the region has a value; afterwards, what `rest` returns.
 *
 * A reader must not be given what was reverted a moment ago, so it has to look before each record; in
 * Python that look costs as much as the record. For one thread, like every iterator. */
typedef struct {
    PyObject_HEAD
    RingObject *owner; /* keeps the mapping */
    const _Atomic uint64_t *word;
    uint64_t value;
    PyObject *records;
    Py_ssize_t next;
    PyObject *rest;
    PyObject *after; /* what `rest` returned; NULL while the word has the value */
} DeliveryObject;

/* deliver(records, offset, value, rest) -> an iterator */
PyObject *ring_deliver(RingObject *self, PyObject *args)
{
    unsigned long long offset, value;
    PyObject *records, *rest;
    const _Atomic uint64_t *word;
    DeliveryObject *delivery;

    if (!PyArg_ParseTuple(args, "O!KKO", &PyList_Type, &records, &offset, &value, &rest))
        return NULL;
    word = word_at(self, offset);
    if (word == NULL)
        return NULL;
    delivery = (DeliveryObject *)((allocfunc)PyType_GetSlot(delivery_type, Py_tp_alloc))(delivery_type, 0);
    if (delivery == NULL)
        return NULL;
    Py_INCREF((PyObject *)self);
    delivery->owner = self;
    delivery->word = word;
    delivery->value = value;
    delivery->records = Py_NewRef(records);
    delivery->rest = Py_NewRef(rest);
    return (PyObject *)delivery;
}

static PyObject *delivery_next(DeliveryObject *self)
{
    if (self->after == NULL) {
        if (self->next >= PyList_Size(self->records))
            return NULL;
        /* Pairs with: the release in ls_revert. */
        if (atomic_load_explicit(self->word, memory_order_acquire) == self->value)
            return Py_NewRef(PyList_GetItem(self->records, self->next++));
        self->after = PyObject_CallFunction(self->rest, "n", self->next);
        if (self->after == NULL)
            return NULL;
    }
    return PyIter_Next(self->after);
}

static void delivery_dealloc(DeliveryObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    Py_XDECREF((PyObject *)self->owner);
    Py_XDECREF(self->records);
    Py_XDECREF(self->rest);
    Py_XDECREF(self->after);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyType_Slot delivery_slots[] = {
    {Py_tp_dealloc, delivery_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, delivery_next},
    {0, NULL},
};

PyType_Spec delivery_spec = {
    .name = "logstore.ring._ring.Delivery",
    .basicsize = sizeof(DeliveryObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = delivery_slots,
};
