/* The type Record: one record as a reader sees it.
 *
 * A scan makes millions of them a second, so numbers are kept as C integers and become Python
 * objects when somebody asks. A Record holds a str and a bytes or memoryview and nothing else,
 * cannot be changed or subclassed, and is therefore left out of the garbage collector's rounds: a
 * cycle through one needs a view of a buffer whose owner refers back to the Record.
 */
#include "frames/_frame.h"

#include <stddef.h>
#include <structmember.h>

#define SHOWN 32 /* bytes of the payload in a repr */

typedef struct {
    PyObject_HEAD
    uint64_t lsn;
    uint64_t seq;
    PyObject *group;
    PyObject *payload;
    uint8_t kind;
} Record;

_Static_assert(sizeof(unsigned long long) == sizeof(uint64_t), "T_ULONGLONG reads 64 bits");

PyObject *record_new(PyTypeObject *type, uint64_t lsn, PyObject *group, uint64_t seq, uint8_t kind,
                     PyObject *payload)
{
    Record *record = PyObject_New(Record, type);

    if (record == NULL)
        return NULL;
    record->lsn = lsn;
    record->seq = seq;
    record->group = Py_NewRef(group);
    record->payload = Py_NewRef(payload);
    record->kind = kind;
    return (PyObject *)record;
}

static void record_dealloc(PyObject *self)
{
    Record *record = (Record *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_DECREF(record->group);
    Py_DECREF(record->payload);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* A payload is bytes, or a flat view of bytes as a scan without copying makes it. */
static bool payload_fits(PyObject *payload)
{
    Py_buffer view;
    bool flat;

    if (PyBytes_Check(payload))
        return true;
    if (!PyMemoryView_Check(payload)) {
        PyErr_SetString(PyExc_TypeError, "payload must be bytes or a memoryview");
        return false;
    }
    if (PyObject_GetBuffer(payload, &view, PyBUF_FULL_RO) < 0)
        return false;
    flat = view.ndim == 1 && view.itemsize == 1;
    PyBuffer_Release(&view);
    if (!flat)
        PyErr_SetString(PyExc_TypeError, "payload must be a flat memoryview of single bytes");
    return flat;
}

static PyObject *record_construct(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"lsn", "group", "seq", "kind", "payload", NULL};
    PyObject *lsn_argument, *group, *seq_argument, *kind_argument, *payload;
    uint64_t lsn, seq, kind;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OUOOO:Record", names, &lsn_argument, &group,
                                     &seq_argument, &kind_argument, &payload))
        return NULL;
    if (!take_unsigned(lsn_argument, "lsn", UINT64_MAX, &lsn) ||
        !take_unsigned(seq_argument, "seq", UINT64_MAX, &seq) ||
        !take_unsigned(kind_argument, "kind", UINT8_MAX, &kind) || !payload_fits(payload))
        return NULL;
    return record_new(type, lsn, group, seq, (uint8_t)kind, payload);
}

static PyObject *record_compare(PyObject *self, PyObject *other, int operation)
{
    Record *a = (Record *)self;
    Record *b = (Record *)other;
    int equal;

    if (Py_TYPE(other) != Py_TYPE(self) || (operation != Py_EQ && operation != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    equal = a->lsn == b->lsn && a->seq == b->seq && a->kind == b->kind;
    if (equal)
        equal = PyObject_RichCompareBool(a->group, b->group, Py_EQ);
    if (equal > 0)
        equal = PyObject_RichCompareBool(a->payload, b->payload, Py_EQ);
    if (equal < 0)
        return NULL;
    return PyBool_FromLong(equal == (operation == Py_EQ));
}

/* An LSN is unique in its log, so the payload need not be read; a view of bytes might refuse. */
static Py_hash_t record_hash(PyObject *self)
{
    Record *record = (Record *)self;
    uint64_t mixed = (record->lsn ^ record->seq << 32) * 0x9E3779B97F4A7C15u;
    Py_hash_t hash = (Py_hash_t)(mixed ^ mixed >> 32);

    return hash == -1 ? -2 : hash;
}

static PyObject *record_repr(PyObject *self)
{
    Record *record = (Record *)self;
    Py_ssize_t length = PyObject_Size(record->payload);
    PyObject *slice, *head, *text;

    if (length < 0)
        return NULL;
    slice = PySequence_GetSlice(record->payload, 0, SHOWN);
    head = slice ? PyBytes_FromObject(slice) : NULL;
    Py_XDECREF(slice);
    if (head == NULL)
        return NULL;
    if (length <= SHOWN)
        text = PyUnicode_FromFormat("Record(lsn=%llu, group=%R, seq=%llu, kind=%u, payload=%R)",
                                    (unsigned long long)record->lsn, record->group,
                                    (unsigned long long)record->seq, record->kind, head);
    else
        text = PyUnicode_FromFormat(
            "Record(lsn=%llu, group=%R, seq=%llu, kind=%u, payload=<%zd bytes: %R...>)",
            (unsigned long long)record->lsn, record->group, (unsigned long long)record->seq,
            record->kind, length, head);
    Py_DECREF(head);
    return text;
}

/* A view becomes bytes here: what is pickled must not hang on somebody's buffer. */
static PyObject *record_reduce(PyObject *self, PyObject *unused)
{
    Record *record = (Record *)self;
    PyObject *payload = PyBytes_FromObject(record->payload);

    (void)unused;
    if (payload == NULL)
        return NULL;
    return Py_BuildValue("O(KOKBN)", Py_TYPE(self), (unsigned long long)record->lsn, record->group,
                         (unsigned long long)record->seq, record->kind, payload);
}

PyObject *kinds_of(PyObject *module, PyObject *records)
{
    struct module_state *state = PyModule_GetState(module);
    uint64_t kinds = 0;

    if (!PyList_Check(records))
        return PyErr_Format(PyExc_TypeError, "kinds_of() takes a list of Records");
    for (Py_ssize_t i = 0; i < PyList_Size(records); i++) {
        PyObject *record = PyList_GetItem(records, i);
        if (Py_TYPE(record) != state->record)
            return PyErr_Format(PyExc_TypeError, "kinds_of() takes a list of Records");
        kinds |= UINT64_C(1) << (((Record *)record)->kind & 63);
    }
    return PyLong_FromUnsignedLongLong(kinds);
}

static PyMemberDef record_members[] = {
    {"lsn", T_ULONGLONG, offsetof(Record, lsn), READONLY, "Position of the frame in the log."},
    {"group", T_OBJECT_EX, offsetof(Record, group), READONLY, "Name of the record's group."},
    {"seq", T_ULONGLONG, offsetof(Record, seq), READONLY, "Number of the record in its group."},
    {"kind", T_UBYTE, offsetof(Record, kind), READONLY, "Kind of the frame."},
    {"payload", T_OBJECT_EX, offsetof(Record, payload), READONLY,
     "What the caller appended: bytes, or a view of the scanned buffer."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef record_methods[] = {
    {"__reduce__", record_reduce, METH_NOARGS, "Pickle the record, its payload as bytes."},
    {NULL, NULL, 0, NULL},
};

static const char record_doc[] =
    "Record(lsn, group, seq, kind, payload)\n--\n\n"
    "One record of the log. Immutable; equal if all five fields are.";

static PyType_Slot record_slots[] = {
    {Py_tp_doc, (void *)record_doc},       {Py_tp_new, record_construct},
    {Py_tp_dealloc, record_dealloc},       {Py_tp_richcompare, record_compare},
    {Py_tp_hash, record_hash},             {Py_tp_repr, record_repr},
    {Py_tp_members, record_members},       {Py_tp_methods, record_methods},
    {0, NULL},
};

PyType_Spec record_spec = {
    .name = "logstore.frames.Record",
    .basicsize = sizeof(Record),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = record_slots,
};

int record_set_match_args(PyTypeObject *type)
{
    PyObject *names = Py_BuildValue("(sssss)", "lsn", "group", "seq", "kind", "payload");
    int result = names ? PyObject_SetAttrString((PyObject *)type, "__match_args__", names) : -1;

    Py_XDECREF(names);
    return result;
}
