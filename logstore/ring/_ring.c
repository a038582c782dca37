/* The Python face of the ring: the Ring type (mapping, words) and the module.
 *
 * The calls here decide nothing about errors.  When a reservation or a wait cannot go on they call
 * `hook(status, detail)`, a Python function set by client.py, which raises what the user should see,
 * repairs, or returns to have the call tried again.
 */
#define _GNU_SOURCE
#include "ring/_ring.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Map header and ring, and the ring a second time right behind, over one reserved address range. */
static void *map_twice(int fd, size_t header, size_t capacity, int protection)
{
    size_t total = header + 2 * capacity;
    uint8_t *range = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = MAP_SHARED | MAP_FIXED;

    if (range == MAP_FAILED)
        return NULL;
    if (mmap(range, header + capacity, protection, flags, fd, 0) == MAP_FAILED ||
        mmap(range + header + capacity, capacity, protection, flags, fd, (off_t)header) == MAP_FAILED) {
        munmap(range, total);
        return NULL;
    }
    return range;
}

static PyObject *ring_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", "capacity", "salt", "semaphore", NULL};
    int fd;
    unsigned long long capacity;
    unsigned int salt;
    const char *semaphore;
    RingObject *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iKIz", names, &fd, &capacity, &salt, &semaphore))
        return NULL;
    if (capacity < 4096 || (capacity & (capacity - 1)) != 0) {
        PyErr_SetString(PyExc_ValueError, "capacity must be a power of two of at least one page");
        return NULL;
    }
    self = (RingObject *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (self == NULL)
        return NULL;
    self->mapping_size = ls_header_size() + 2 * capacity;
    self->mapping = map_twice(fd, ls_header_size(), capacity,
                              semaphore ? PROT_READ | PROT_WRITE : PROT_READ);
    if (self->mapping == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    self->ring.region = self->mapping;
    self->ring.bytes = (uint8_t *)self->mapping + ls_header_size();
    self->ring.capacity = capacity;
    self->ring.salt = salt;
    if (semaphore != NULL) {
        self->ring.semaphore = sem_open(semaphore, 0);
        if (self->ring.semaphore == SEM_FAILED) {
            self->ring.semaphore = NULL;
            PyErr_SetFromErrnoWithFilename(PyExc_OSError, semaphore);
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

static void ring_dealloc(RingObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (self->ring.semaphore != NULL)
        sem_close(self->ring.semaphore);
    if (self->mapping != NULL)
        munmap(self->mapping, self->mapping_size);
    Py_XDECREF(self->hook);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

int call_hook(RingObject *self, int status, uint64_t detail)
{
    PyObject *hook = self->hook, *result;
    if (hook == NULL || hook == Py_None) {
        PyErr_Format(PyExc_RuntimeError, "ring status %d, and no hook is set", status);
        return -1;
    }
    Py_INCREF(hook); /* another thread may set a new one meanwhile */
    result = PyObject_CallFunction(hook, "iK", status, (unsigned long long)detail);
    Py_DECREF(hook);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

int refuse_closed(RingObject *self)
{
    if (!self->closed)
        return 0;
    if (call_hook(self, STATUS_CLOSED, 0) == 0)
        PyErr_SetString(PyExc_RuntimeError, "the ring is closed");
    return -1;
}

/* Seconds (None = for ever) to an absolute monotonic time. */
uint64_t deadline_of(PyObject *timeout, int *failed)
{
    double seconds;
    *failed = 0;
    if (timeout == NULL || timeout == Py_None)
        return UINT64_MAX;
    seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        *failed = 1;
        return 0;
    }
    if (!(seconds >= 0)) {
        PyErr_SetString(PyExc_ValueError, "timeout is a number of seconds, 0 or more, or None");
        *failed = 1;
        return 0;
    }
    return seconds > 1e9 ? UINT64_MAX : ls_now_ns() + (uint64_t)(seconds * 1e9);
}

/* Refuse new calls and wait until the threads that are inside have left: afterwards this process
 * touches the ring no more, and its lock may go.  They leave within one slice. */
static PyObject *ring_close(RingObject *self, PyObject *unused)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)unused;
    self->closed = 1;
    while (self->blocking > 0) {
        Py_BEGIN_ALLOW_THREADS
        nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

/* In a forked child: refuse calls, and wait for nobody: the threads that were inside are the parent's.
 * Reservations that came along with the fork are the parent's too; a closed ring leaves them alone. */
static PyObject *ring_forsake(RingObject *self, PyObject *unused)
{
    (void)unused;
    self->closed = 1;
    Py_RETURN_NONE;
}

static PyObject *ring_bind(RingObject *self, PyObject *token)
{
    unsigned long value = PyLong_AsUnsignedLong(token);
    if (PyErr_Occurred())
        return NULL;
    self->ring.me = (uint32_t)value;
    Py_RETURN_NONE;
}

/* The header word at a byte offset, or NULL with an error. */
_Atomic uint64_t *word_at(RingObject *self, unsigned long long offset)
{
    if (offset % 8 != 0 || offset + 8 > sizeof(struct ls_region)) {
        PyErr_SetString(PyExc_ValueError, "offset is not a word of the header");
        return NULL;
    }
    return (_Atomic uint64_t *)(void *)((uint8_t *)self->mapping + offset);
}

static int writable(RingObject *self)
{
    if (self->ring.semaphore == NULL)
        PyErr_SetString(PyExc_ValueError, "this attachment is read-only");
    return self->ring.semaphore != NULL;
}

static PyObject *ring_load(RingObject *self, PyObject *offset)
{
    unsigned long long at = PyLong_AsUnsignedLongLong(offset);
    _Atomic uint64_t *word = PyErr_Occurred() ? NULL : word_at(self, at);
    if (word == NULL)
        return NULL;
    return PyLong_FromUnsignedLongLong(atomic_load_explicit(word, memory_order_acquire));
}

static PyObject *ring_store(RingObject *self, PyObject *args)
{
    unsigned long long offset, value;
    _Atomic uint64_t *word;
    if (!PyArg_ParseTuple(args, "KK", &offset, &value) || !writable(self))
        return NULL;
    word = word_at(self, offset);
    if (word == NULL)
        return NULL;
    atomic_store_explicit(word, value, memory_order_release);
    Py_RETURN_NONE;
}

/* swap(offset, expected, value) -> bool: set the word if it is what was expected. */
static PyObject *ring_swap(RingObject *self, PyObject *args)
{
    unsigned long long offset, value;
    unsigned long long expected;
    uint64_t found;
    _Atomic uint64_t *word;
    if (!PyArg_ParseTuple(args, "KKK", &offset, &expected, &value) || !writable(self))
        return NULL;
    word = word_at(self, offset);
    if (word == NULL)
        return NULL;
    found = expected;
    return PyBool_FromLong(atomic_compare_exchange_strong(word, &found, value));
}

/* add(offset, amount) -> the new value */
static PyObject *ring_add(RingObject *self, PyObject *args)
{
    unsigned long long offset, amount;
    _Atomic uint64_t *word;
    if (!PyArg_ParseTuple(args, "KK", &offset, &amount) || !writable(self))
        return NULL;
    word = word_at(self, offset);
    if (word == NULL)
        return NULL;
    return PyLong_FromUnsignedLongLong(atomic_fetch_add(word, amount) + amount);
}

static PyObject *ring_words(RingObject *self, PyObject *args)
{
    unsigned long long offset;
    Py_ssize_t count;
    PyObject *list;
    if (!PyArg_ParseTuple(args, "Kn", &offset, &count))
        return NULL;
    if (count < 1 || word_at(self, offset) == NULL || word_at(self, offset + 8 * (count - 1)) == NULL)
        return PyErr_Occurred() ? NULL : PyList_New(0);
    list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        uint64_t value =
            atomic_load_explicit(word_at(self, offset + 8 * (uint64_t)i), memory_order_relaxed);
        PyList_SetItem(list, i, PyLong_FromUnsignedLongLong(value));
    }
    return list;
}

static int range_of(unsigned long long offset, Py_ssize_t length)
{
    if (length < 0 || offset > sizeof(struct ls_region) ||
        (uint64_t)length > sizeof(struct ls_region) - offset) {
        PyErr_SetString(PyExc_ValueError, "range is not inside the header");
        return -1;
    }
    return 0;
}

static PyObject *ring_read_header(RingObject *self, PyObject *args)
{
    unsigned long long offset;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "Kn", &offset, &length) || range_of(offset, length) < 0)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)self->mapping + offset, length);
}

static PyObject *ring_write_header(RingObject *self, PyObject *args)
{
    unsigned long long offset;
    Py_buffer bytes;
    if (!PyArg_ParseTuple(args, "Ky*", &offset, &bytes))
        return NULL;
    if (!writable(self) || range_of(offset, bytes.len) < 0) {
        PyBuffer_Release(&bytes);
        return NULL;
    }
    memcpy((uint8_t *)self->mapping + offset, bytes.buf, (size_t)bytes.len);
    PyBuffer_Release(&bytes);
    Py_RETURN_NONE;
}

/* The whole double mapping, read-only: the frame at lsn begins at lsn & (capacity - 1). */
static int ring_getbuffer(RingObject *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->ring.bytes,
                             (Py_ssize_t)(2 * self->ring.capacity), 1, flags);
}

static PyObject *get_hook(RingObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(self->hook ? self->hook : Py_None);
}

static int set_hook(RingObject *self, PyObject *value, void *unused)
{
    PyObject *old = self->hook;
    (void)unused;
    self->hook = value ? Py_NewRef(value) : NULL;
    Py_XDECREF(old);
    return 0;
}

static PyObject *get_capacity(RingObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->ring.capacity);
}

static PyObject *get_largest(RingObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(ls_largest_span(&self->ring) - LS_FRAME_HEADER);
}

static PyObject *get_token(RingObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(self->ring.me);
}

static PyObject *get_closed(RingObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(self->closed);
}

static PyGetSetDef ring_getset[] = {
    {"hook", (getter)get_hook, (setter)set_hook, NULL, NULL},
    {"capacity", (getter)get_capacity, NULL, NULL, NULL},
    {"largest_payload", (getter)get_largest, NULL, NULL, NULL},
    {"token", (getter)get_token, NULL, NULL, NULL},
    {"closed", (getter)get_closed, NULL, NULL, NULL},
    {0},
};

#define FAST(name) {#name, (PyCFunction)(void (*)(void))ring_##name, METH_FASTCALL, NULL}
#define ARGS(name) {#name, (PyCFunction)(void (*)(void))ring_##name, METH_VARARGS, NULL}
#define ONE(name) {#name, (PyCFunction)(void (*)(void))ring_##name, METH_O, NULL}
#define NONE(name) {#name, (PyCFunction)(void (*)(void))ring_##name, METH_NOARGS, NULL}

static PyMethodDef ring_methods[] = {
    FAST(append),       FAST(append_many),
    FAST(append_part),  ARGS(revert),       ARGS(swap),         ARGS(add), FAST(offer),        FAST(reserve),
    FAST(wait),         FAST(poll),        NONE(close),        ONE(bind),
    NONE(forsake),
    ARGS(deliver),      FAST(readable),     NONE(removed),
    ONE(load),          ARGS(store),       ARGS(words),        ARGS(read_header),
    ARGS(write_header), ARGS(walk),        ARGS(abort_dead),   ARGS(advance),
    ARGS(discard),      ONE(next_boundary), ARGS(offer_slot),
    ARGS(keep_writing), ARGS(keep_syncing),
    ARGS(committer_idle), ARGS(syncer_idle), ONE(count_drain),  NONE(sound),         ARGS(count_sync),   ARGS(set_state),
    ONE(repair),        NONE(post),         NONE(wake_committer),        NONE(knock),        ARGS(await_knock),
    {0},
};

static PyType_Slot ring_slots[] = {
    {Py_tp_new, ring_new},
    {Py_tp_dealloc, ring_dealloc},
    {Py_tp_methods, ring_methods},
    {Py_tp_getset, ring_getset},
    {Py_bf_getbuffer, ring_getbuffer},
    {Py_tp_doc, "One process's mapping of a region; see _ring.pyi."},
    {0, NULL},
};

static PyType_Spec ring_spec = {
    .name = "logstore.ring._ring.Ring",
    .basicsize = sizeof(RingObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ring_slots,
};

static PyObject *module_token(PyObject *module, PyObject *args)
{
    unsigned int index;
    unsigned long long generation;
    (void)module;
    if (!PyArg_ParseTuple(args, "IK", &index, &generation))
        return NULL;
    return PyLong_FromUnsignedLong(ls_token(index, generation));
}

static PyMethodDef module_methods[] = {
    {"token", module_token, METH_VARARGS, NULL},
    {0},
};

PyTypeObject *ring_type;

static int add_types(PyObject *module)
{
    ring_type = (PyTypeObject *)PyType_FromSpec(&ring_spec);
    slot_type = (PyTypeObject *)PyType_FromSpec(&slot_spec);
    delivery_type = (PyTypeObject *)PyType_FromSpec(&delivery_spec);
    if (ring_type == NULL || slot_type == NULL || delivery_type == NULL)
        return -1;
    if (PyModule_AddObjectRef(module, "Slot", (PyObject *)slot_type) < 0 || add_appenders(module) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Ring", (PyObject *)ring_type);
}

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "_ring", "The shared-memory ring.", -1, module_methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__ring(void)
{
    PyObject *module = PyModule_Create(&module_definition);
    PyObject *layout = layout_dict();
    if (module == NULL || layout == NULL || PyModule_AddObject(module, "LAYOUT", layout) < 0 ||
        add_types(module) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
