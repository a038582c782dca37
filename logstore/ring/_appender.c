/* The Python face, `append` itself: of a log and of a group, without a Python frame in the plain case. */
#include "ring/_ring.h"

#include <structmember.h>

/* What a log and a group have in common for appending.  A group has no ring of its own but asks its log:
 * after a fork, or in a read-only log, something else stands in the ring's place, and Python sees to it. */
typedef struct appender {
    PyObject_HEAD
    PyObject *ring;
    struct appender *parent;
    unsigned short group;
} AppenderObject;

static PyTypeObject *appender_type;

/* append(payload, *, durability, timeout): take the two by name; NULL stands for what is not given. */
static int take_named(PyObject *const *values, PyObject *names, PyObject **durability, PyObject **timeout)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        if (PyUnicode_CompareWithASCIIString(name, "durability") == 0) {
            *durability = values[i];
        } else if (PyUnicode_CompareWithASCIIString(name, "timeout") == 0) {
            *timeout = values[i];
        } else {
            PyErr_Format(PyExc_TypeError, "append() got an unexpected keyword argument '%U'", name);
            return -1;
        }
    }
    return 0;
}

static PyObject *append(AppenderObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *ring = self->parent ? self->parent->ring : self->ring;
    PyObject *durability = NULL, *timeout = Py_None;

    if (nargs != 1)
        return PyErr_Format(PyExc_TypeError,
                            "append() takes 1 positional argument, the payload, but %zd were given", nargs);
    if (names != NULL && take_named(args + 1, names, &durability, &timeout) < 0)
        return NULL;
    if (durability == NULL && timeout == Py_None && ring != NULL && Py_TYPE(ring) == ring_type)
        return append_to((RingObject *)ring, args[0], self->group);
    if (durability == NULL)
        return PyObject_CallMethod((PyObject *)self, "_append_as", "OsO", args[0], "ring", timeout);
    return PyObject_CallMethod((PyObject *)self, "_append_as", "OOO", args[0], durability, timeout);
}

static int appender_set_parent(AppenderObject *self, PyObject *parent, void *unused)
{
    PyObject *old = (PyObject *)self->parent;
    (void)unused;
    if (parent == NULL || !PyObject_TypeCheck(parent, appender_type)) {
        PyErr_SetString(PyExc_TypeError, "_parent is another appender");
        return -1;
    }
    self->parent = (AppenderObject *)Py_NewRef(parent);
    Py_XDECREF(old);
    return 0;
}

static int appender_traverse(AppenderObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->ring);
    Py_VISIT((PyObject *)self->parent);
    return 0;
}

static int appender_clear(AppenderObject *self)
{
    PyObject *parent = (PyObject *)self->parent;
    self->parent = NULL;
    Py_XDECREF(parent);
    Py_CLEAR(self->ring);
    return 0;
}

static void appender_dealloc(AppenderObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    PyObject_GC_UnTrack(self);
    appender_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    append_doc,
    "append($self, payload, *, durability='ring', timeout=None)\n"
    "--\n"
    "\n"
    "Append one record and return its LSN.\n"
    "\n"
    "On return the record survives the death of any process, and with `durability` \"written\" or\n"
    "\"synced\" is in the page cache or on disk. Blocks while the ring is full, and for the\n"
    "durability asked for. Any thread of any process may call it at any time.\n"
    "\n"
    "Args:\n"
    "    payload: Any contiguous buffer, empty too; its bytes are copied before return.\n"
    "    durability: \"ring\", \"written\" or \"synced\".\n"
    "    timeout: Seconds for all of it; None waits for ever.\n"
    "\n"
    "Raises:\n"
    "    RingFull: No room until the time-out; nothing was appended.\n"
    "    RecordTooLarge: Larger than a quarter of the ring; nothing was appended.\n"
    "    Timeout: Appended, but not as durable as asked for by then: `wait` for it again.\n"
    "    DiskFull: The disk is full and so is the ring; nothing was appended.\n"
    "    SyncFailed: The disk failed; what is on it is known only after recovery.\n"
    "    NotRunning, Closed, ReadOnly: The log takes no appends from here.\n"
    "    TypeError: `payload` is no buffer.\n");

static PyMethodDef appender_methods[] = {
    {"append", (PyCFunction)(void (*)(void))append, METH_FASTCALL | METH_KEYWORDS, append_doc},
    {0},
};

static PyMemberDef appender_members[] = {
    {"_ring", T_OBJECT_EX, offsetof(AppenderObject, ring), 0, NULL},
    {"_group_id", T_USHORT, offsetof(AppenderObject, group), 0, NULL},
    {0},
};

static PyGetSetDef appender_properties[] = {
    {"_parent", NULL, (setter)appender_set_parent, NULL, NULL},
    {0},
};

static PyType_Slot appender_slots[] = {
    {Py_tp_dealloc, appender_dealloc},
    {Py_tp_traverse, appender_traverse},
    {Py_tp_clear, appender_clear},
    {Py_tp_methods, appender_methods},
    {Py_tp_members, appender_members},
    {Py_tp_getset, appender_properties},
    {Py_tp_doc, "Appends to one group of a log; see _ring.pyi."},
    {0, NULL},
};

static PyType_Spec appender_spec = {
    .name = "logstore.ring._ring.Appender",
    .basicsize = sizeof(AppenderObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = appender_slots,
};

int add_appender(PyObject *module)
{
    appender_type = (PyTypeObject *)PyType_FromSpec(&appender_spec);
    return appender_type == NULL ? -1 : PyModule_AddObjectRef(module, "Appender", (PyObject *)appender_type);
}
