/* The Python face, `append` of a log and of a group and `wait` of a log: no Python frame in the plain case. */
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

/* A call's arguments: payload or lsn, durability, timeout. */
enum { FIRST, DURABILITY, TIMEOUT, ARGUMENTS };
struct call {
    const char *function;
    const char *names[ARGUMENTS];
    Py_ssize_t positional; /* how many may be given without a name */
    PyObject *values[ARGUMENTS]; /* borrowed; NULL: not given */
};

static int take_named(struct call *call, PyObject *name, PyObject *value)
{
    for (int i = 0; i < ARGUMENTS; i++) {
        if (PyUnicode_CompareWithASCIIString(name, call->names[i]) != 0)
            continue;
        if (call->values[i] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", call->function, name);
            return -1;
        }
        call->values[i] = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", call->function, name);
    return -1;
}

static int take_arguments(struct call *call, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    if (nargs > call->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd were given", call->function,
                     call->positional, call->positional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        call->values[i] = args[i];
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_Size(names); i++)
        if (take_named(call, PyTuple_GetItem(names, i), args[nargs + i]) < 0)
            return -1;
    if (call->values[FIRST] == NULL) {
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required argument: '%s'", call->function,
                     call->names[FIRST]);
        return -1;
    }
    return 0;
}

/* The level that is asked for in the plain case: a durability that there is, no time-out, and a ring that is
 * one.  -1: it is not plain. */
static int plain_level(const struct call *call, enum ls_level usual, PyObject *ring)
{
    static const char *const levels[] = {"ring", "written", "synced"};
    PyObject *durability = call->values[DURABILITY];
    PyObject *timeout = call->values[TIMEOUT];

    if (ring == NULL || Py_TYPE(ring) != ring_type || (timeout != NULL && timeout != Py_None))
        return -1;
    if (durability == NULL)
        return usual;
    for (int level = 0; PyUnicode_Check(durability) && level <= LS_LEVEL_SYNCED; level++)
        if (PyUnicode_CompareWithASCIIString(durability, levels[level]) == 0)
            return level;
    return -1;
}

/* Call the method that sees to every other case. */
static PyObject *call_python(AppenderObject *self, const char *method, const struct call *call,
                             const char *durability)
{
    PyObject *timeout = call->values[TIMEOUT] ? call->values[TIMEOUT] : Py_None;
    if (call->values[DURABILITY] == NULL)
        return PyObject_CallMethod((PyObject *)self, method, "OsO", call->values[FIRST], durability, timeout);
    return PyObject_CallMethod((PyObject *)self, method, "OOO", call->values[FIRST], call->values[DURABILITY],
                               timeout);
}

static PyObject *append(AppenderObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *ring = self->parent ? self->parent->ring : self->ring;
    struct call call = {"append", {"payload", "durability", "timeout"}, 1, {NULL}};
    PyObject *lsn, *waited;
    int level;

    if (take_arguments(&call, args, nargs, names) < 0)
        return NULL;
    level = plain_level(&call, LS_LEVEL_RING, ring);
    if (level < 0)
        return call_python(self, "_append_as", &call, "ring");
    Py_INCREF(ring); /* it may wait without the GIL, and somebody put another ring in its place */
    lsn = append_to((RingObject *)ring, call.values[FIRST], self->group);
    if (lsn != NULL && level != LS_LEVEL_RING) {
        uint64_t at = PyLong_AsUnsignedLongLong(lsn);
        waited = wait_until((RingObject *)ring, (enum ls_level)level, at, UINT64_MAX);
        if (waited == NULL)
            Py_CLEAR(lsn);
        Py_XDECREF(waited);
    }
    Py_DECREF(ring);
    return lsn;
}

/* Take an LSN at which something has been appended; return whether it is one. Raises nothing. */
static int take_appended(const RingObject *ring, PyObject *lsn, uint64_t *at)
{
    if (!PyLong_CheckExact(lsn))
        return 0;
    *at = PyLong_AsUnsignedLongLong(lsn);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return !ring->closed && *at % LS_ALIGNMENT == 0 &&
           *at < atomic_load_explicit(&ring->ring.region->head, memory_order_acquire);
}

static PyObject *wait_for(AppenderObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    RingObject *ring = (RingObject *)self->ring;
    struct call call = {"wait", {"lsn", "durability", "timeout"}, 3, {NULL}};
    PyObject *done;
    uint64_t lsn;
    int level;

    if (take_arguments(&call, args, nargs, names) < 0)
        return NULL;
    level = plain_level(&call, LS_LEVEL_SYNCED, self->ring);
    if (level < 0 || !take_appended(ring, call.values[FIRST], &lsn))
        return call_python(self, "_wait_for", &call, "synced");
    if (level == LS_LEVEL_SYNCED && passed(ring, lsn))
        Py_RETURN_NONE;
    Py_INCREF((PyObject *)ring); /* as in append */
    done = wait_until(ring, (enum ls_level)level, lsn, UINT64_MAX);
    Py_DECREF((PyObject *)ring);
    return done;
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

PyDoc_STRVAR(
    wait_doc,
    "wait($self, lsn, durability='synced', timeout=None)\n"
    "--\n"
    "\n"
    "Block until the record at `lsn`, and every one before it, is as durable as asked for.\n"
    "\n"
    "Raises:\n"
    "    Timeout: Not yet; waiting again is right.\n"
    "    InvalidLSN: No record can be there, or none was appended there yet.\n"
    "    DiskFull: It cannot get there until there is room; it is safe in shared memory.\n"
    "    SyncFailed, NotRunning, Closed: It will not get there in this run of the service.\n");

#define NAMED(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef appender_methods[] = {{"append", NAMED(append), append_doc}, {0}};
static PyMethodDef waiter_methods[] = {{"wait", NAMED(wait_for), wait_doc}, {0}};

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

static PyType_Slot waiter_slots[] = {
    {Py_tp_methods, waiter_methods},
    {Py_tp_doc, "Appends to a log and waits for it; see _ring.pyi."},
    {0, NULL},
};

static PyType_Spec waiter_spec = {
    .name = "logstore.ring._ring.Waiter",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = waiter_slots,
};

int add_appenders(PyObject *module)
{
    PyObject *waiter;

    appender_type = (PyTypeObject *)PyType_FromSpec(&appender_spec);
    if (appender_type == NULL || PyModule_AddObjectRef(module, "Appender", (PyObject *)appender_type) < 0)
        return -1;
    waiter = PyType_FromSpecWithBases(&waiter_spec, (PyObject *)appender_type);
    return waiter == NULL ? -1 : PyModule_AddObject(module, "Waiter", waiter);
}
