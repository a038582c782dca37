/* The module logstore.frames._frame: the typed face of the frame codec and of CRC-32C.
 *
 * This file holds the functions over single frames, the constants and the module itself; Record,
 * scan, Survey and OpenFiles have files of their own beside it.
 */
#include "frames/_frame.h"

#include <limits.h>

#include "frames/crc32c.h"
#include "frames/frame.h"

/* Below so many bytes, handing over the interpreter lock costs more than it gives. */
#define LONG_ENOUGH (64 * 1024)

bool take_unsigned(PyObject *value, const char *name, uint64_t maximum, uint64_t *taken)
{
    PyObject *index = PyLong_CheckExact(value) ? Py_NewRef(value) : PyNumber_Index(value);
    unsigned long long number;

    if (index == NULL)
        return false;
    number = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    /* Only all ones may be an error: on the way of every load, one look less. */
    if (number <= maximum && (number != ULLONG_MAX || !PyErr_Occurred())) {
        *taken = number;
        return true;
    }
    PyErr_Clear(); /* an OverflowError, for an int gives no other */
    PyErr_Format(PyExc_ValueError, "%s must be from 0 to %llu, not %R", name,
                 (unsigned long long)maximum, value);
    return false;
}

static PyObject *checksum(PyObject *args, PyObject *kwargs, const char *format,
                          uint32_t (*function)(uint32_t, const void *, size_t))
{
    static char *names[] = {"data", "value", NULL};
    PyObject *data, *value_argument = NULL;
    uint64_t value = 0;
    Py_buffer buffer;
    uint32_t crc;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &data, &value_argument) ||
        (value_argument != NULL && !take_unsigned(value_argument, "value", UINT32_MAX, &value)) ||
        PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    if (buffer.len < LONG_ENOUGH) {
        crc = function((uint32_t)value, buffer.buf, (size_t)buffer.len);
    } else {
        Py_BEGIN_ALLOW_THREADS
        crc = function((uint32_t)value, buffer.buf, (size_t)buffer.len);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&buffer);
    return PyLong_FromUnsignedLong(crc);
}

static PyObject *crc32c(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return checksum(args, kwargs, "O|O:crc32c", ls_crc32c);
}

static PyObject *crc32c_portable(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return checksum(args, kwargs, "O|O:crc32c_portable", ls_crc32c_portable);
}

struct encode_arguments {
    PyObject *payload, *lsn, *seq, *group, *kind, *flags, *distance, *salt;
};

static bool take_header(const struct encode_arguments *given, struct ls_frame *header,
                        uint32_t *salt)
{
    uint64_t lsn, seq, group, kind, flags, distance, wide_salt;

    if (!take_unsigned(given->lsn, "lsn", UINT64_MAX, &lsn) ||
        !take_unsigned(given->seq, "seq", UINT64_MAX, &seq) ||
        !take_unsigned(given->group, "group", UINT16_MAX, &group) ||
        !take_unsigned(given->kind, "kind", UINT8_MAX, &kind) ||
        !take_unsigned(given->flags, "flags", UINT8_MAX, &flags) ||
        !take_unsigned(given->distance, "distance", UINT32_MAX, &distance) ||
        !take_unsigned(given->salt, "salt", UINT32_MAX, &wide_salt))
        return false;
    *salt = (uint32_t)wide_salt;
    *header = (struct ls_frame){.lsn = lsn, .seq = seq, .group = (uint16_t)group,
                                .kind = (uint8_t)kind, .flags = (uint8_t)flags,
                                .distance = (uint32_t)distance};
    return true;
}

/* The frame as new bytes; it is written in place, before anybody else can see the object. */
static PyObject *encoded(const struct ls_frame *header, const Py_buffer *payload, uint32_t salt)
{
    PyObject *frame;

    if ((uint64_t)payload->len > LS_MAX_PAYLOAD) {
        PyErr_Format(PyExc_ValueError, "payload of %zd bytes is longer than %u", payload->len,
                     LS_MAX_PAYLOAD);
        return NULL;
    }
    frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)ls_span((uint64_t)payload->len));
    if (frame != NULL)
        ls_frame_encode(PyBytes_AsString(frame), header, payload->buf, (uint32_t)payload->len,
                        salt);
    return frame;
}

static PyObject *encode(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"payload", "lsn",   "seq",      "group", "kind",
                            "flags",   "distance", "salt", NULL};
    struct encode_arguments given;
    struct ls_frame header;
    Py_buffer payload;
    PyObject *frame;
    uint32_t salt;

    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOO:encode", names, &given.payload,
                                     &given.lsn, &given.seq, &given.group, &given.kind,
                                     &given.flags, &given.distance, &given.salt) ||
        !take_header(&given, &header, &salt) ||
        PyObject_GetBuffer(given.payload, &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    frame = encoded(&header, &payload, salt);
    PyBuffer_Release(&payload);
    return frame;
}

static PyObject *resync(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "lsn", "salt", "limit_lsn", NULL};
    PyObject *given, *lsn_argument, *salt_argument, *limit_argument;
    uint64_t lsn, salt, limit_lsn, found;
    Py_buffer buffer;

    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:resync", names, &given, &lsn_argument,
                                     &salt_argument, &limit_argument) ||
        !take_unsigned(lsn_argument, "lsn", UINT64_MAX, &lsn) ||
        !take_unsigned(salt_argument, "salt", UINT32_MAX, &salt) ||
        !take_unsigned(limit_argument, "limit_lsn", UINT64_MAX, &limit_lsn) ||
        PyObject_GetBuffer(given, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = ls_frame_resync(buffer.buf, (size_t)buffer.len, lsn, limit_lsn, (uint32_t)salt);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    return found == LS_NOT_FOUND ? PyLong_FromLong(-1) : PyLong_FromUnsignedLongLong(found);
}

#define WITH_KEYWORDS(function) \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

#define POSITIONAL(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef functions[] = {
    {"crc32c", WITH_KEYWORDS(crc32c),
     "crc32c($module, /, data, value=0)\n--\n\n"
     "Continue the CRC-32C value over data, by hardware where there is any."},
    {"crc32c_portable", WITH_KEYWORDS(crc32c_portable),
     "crc32c_portable($module, /, data, value=0)\n--\n\n"
     "Continue the CRC-32C value over data, by tables."},
    {"encode", WITH_KEYWORDS(encode),
     "encode($module, /, payload, lsn, seq, group, kind, flags, distance, salt)\n--\n\n"
     "Return the whole padded frame."},
    {"kinds_of", kinds_of, METH_O,
     "kinds_of($module, records, /)\n--\n\n"
     "Return the kinds in a list of Records, bit 1 << kind for each."},
    {"scan", WITH_KEYWORDS(scan), scan_doc},
    {"frame_at", POSITIONAL(frame_at), frame_at_doc},
    {"find", POSITIONAL(find), find_doc},
    {"resync", WITH_KEYWORDS(resync),
     "resync($module, /, buffer, lsn, salt, limit_lsn)\n--\n\n"
     "Return the LSN of the first valid frame in a buffer that begins at LSN lsn, or -1."},
    {NULL, NULL, 0, NULL},
};

static const struct {
    const char *name;
    uint32_t value;
} constants[] = {
    {"FRAME_HEADER_SIZE", LS_FRAME_HEADER},
    {"ALIGNMENT", LS_ALIGNMENT},
    {"IN_FLIGHT", LS_IN_FLIGHT},
    {"MAX_PAYLOAD", LS_MAX_PAYLOAD},
    {"NO_CLAIM", LS_NO_CLAIM},
    {"DATA", LS_DATA},
    {"TXN_PART", LS_TXN_PART},
    {"TXN_COMMIT", LS_TXN_COMMIT},
    {"TXN_ABORT", LS_TXN_ABORT},
    {"CHECKPOINT", LS_CHECKPOINT},
    {"REVERT", LS_REVERT},
    {"GROUP_NAME", LS_GROUP_NAME},
    {"MARK", LS_MARK},
    {"ABORT", LS_ABORT},
    {"IGNORABLE", LS_IGNORABLE},
    {"MORE_OF_BATCH", LS_MORE_OF_BATCH},
    {"COMPRESSED", LS_COMPRESSED},
    {"END", VERDICT_END},
    {"SHORT", VERDICT_SHORT},
    {"BAD", VERDICT_BAD},
    {"UNKNOWN_KIND", VERDICT_UNKNOWN_KIND},
};

_Static_assert(VERDICT_END == (int)LS_FRAME_OK && VERDICT_SHORT == (int)LS_FRAME_SHORT &&
                   VERDICT_BAD == (int)LS_FRAME_BAD,
               "a survey's verdict is passed on as it is");

static int add_constants(PyObject *module)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        PyObject *value = PyLong_FromUnsignedLong(constants[i].value);
        int result = value ? PyModule_AddObjectRef(module, constants[i].name, value) : -1;
        Py_XDECREF(value);
        if (result < 0)
            return -1;
    }
    return PyModule_AddObjectRef(module, "HARDWARE_CRC", ls_crc32c_hardware() ? Py_True : Py_False);
}

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type ? PyModule_AddType(module, *type) : -1;
}

static int execute(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    if (add_type(module, &record_spec, &state->record) < 0 ||
        record_set_match_args(state->record) < 0 ||
        add_type(module, &survey_spec, &state->survey) < 0 ||
        add_type(module, &files_spec, &state->files) < 0)
        return -1;
    return add_constants(module);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    struct module_state *state = PyModule_GetState(module);

    Py_VISIT(state->record);
    Py_VISIT(state->survey);
    Py_VISIT(state->files);
    return 0;
}

static int clear(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    Py_CLEAR(state->record);
    Py_CLEAR(state->survey);
    Py_CLEAR(state->files);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "logstore.frames._frame",
    .m_doc = "Frames and their checksum, in C.",
    .m_size = sizeof(struct module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__frame(void)
{
    return PyModuleDef_Init(&definition);
}
