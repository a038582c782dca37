/* The Python face, readers' part: an iterator over records that looks at a word before each one. */
#include "ring/_ring.h"

PyTypeObject *delivery_type;

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
