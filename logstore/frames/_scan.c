/* The function scan: a buffer of frames becomes a list of Records.
 *
 * This is the read path's hot loop. The interpreter lock is held throughout, because every step
 * makes objects; the caller bounds the time by the size of the buffer and by max_records.
 */
#include "frames/_scan.h"

/* The name of a group, a borrowed reference kept in the scan; NULL with an exception set. */
static PyObject *name_of(struct scan *scan, uint16_t group)
{
    PyObject *name;

    if (scan->group_name != NULL && scan->group == group)
        return scan->group_name;
    Py_CLEAR(scan->group_name);
    if (group < PyList_Size(scan->names))
        name = Py_XNewRef(PyList_GetItem(scan->names, group));
    else
        name = PyUnicode_FromFormat("#%u", group);
    if (name != NULL && !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "names[%u] must be a str", group);
        Py_CLEAR(name);
    }
    scan->group_name = name;
    scan->group = group;
    return name;
}

static PyObject *payload_of(const struct scan *scan, size_t length)
{
    size_t begin = scan->offset + LS_FRAME_HEADER;

    if (scan->view == NULL)
        return PyBytes_FromStringAndSize((const char *)scan->bytes + begin, (Py_ssize_t)length);
    return PySequence_GetSlice(scan->view, (Py_ssize_t)begin, (Py_ssize_t)(begin + length));
}

PyObject *scan_record(struct scan *scan, const struct ls_frame *header)
{
    PyObject *name = name_of(scan, header->group);
    PyObject *payload = name ? payload_of(scan, header->size - 1) : NULL;
    PyObject *record;

    if (payload == NULL)
        return NULL;
    record = record_new(scan->record_type, header->lsn, name, header->seq, header->kind, payload);
    Py_DECREF(payload);
    return record;
}

static int deliver(struct scan *scan, const struct ls_frame *header)
{
    PyObject *record = scan_record(scan, header);
    int result = record ? PyList_Append(scan->records, record) : -1;

    Py_XDECREF(record);
    return result;
}

/* Go through the frames; returns the verdict, or -1 with an exception set. */
static int walk(struct scan *scan)
{
    uint64_t left = scan->max_records;
    struct ls_frame header;

    while (scan->lsn < scan->limit_lsn && left != 0) {
        enum ls_verdict verdict = scan_check(scan, &header);
        if (verdict != LS_FRAME_OK)
            return verdict == LS_FRAME_SHORT ? VERDICT_SHORT : VERDICT_BAD;
        enum reading reading = scan_judge(scan, &header);
        if (reading == REFUSE)
            return VERDICT_UNKNOWN_KIND;
        if (reading == DELIVER) {
            if (deliver(scan, &header) < 0)
                return -1;
            left--;
        }
        scan_step(scan, &header);
    }
    return VERDICT_END;
}

/* A read-only view of single bytes over any contiguous buffer, whatever its own format is. */
static PyObject *view_of(PyObject *buffer)
{
    PyObject *given = PyMemoryView_FromObject(buffer);
    PyObject *flat = given ? PyObject_CallMethod(given, "cast", "s", "B") : NULL;
    PyObject *view = flat ? PyObject_CallMethod(flat, "toreadonly", NULL) : NULL;

    Py_XDECREF(given);
    Py_XDECREF(flat);
    return view;
}

struct scan_arguments {
    PyObject *buffer;
    PyObject *lsn;
    PyObject *salt;
    PyObject *limit_lsn;
    PyObject *kinds;
    PyObject *max_records;
    int copy;
};

static bool take_numbers(struct scan *scan, const struct scan_arguments *given)
{
    uint64_t salt;

    if (given->kinds == NULL) { /* the parser cannot require what is keyword-only */
        PyErr_SetString(PyExc_TypeError, "scan() missing required keyword-only argument 'kinds'");
        return false;
    }
    if (!take_unsigned(given->lsn, "lsn", UINT64_MAX, &scan->lsn) ||
        !take_unsigned(given->salt, "salt", UINT32_MAX, &salt) ||
        !take_unsigned(given->limit_lsn, "limit_lsn", UINT64_MAX, &scan->limit_lsn) ||
        !take_unsigned(given->kinds, "kinds", UINT64_MAX, &scan->kinds))
        return false;
    scan->salt = (uint32_t)salt;
    scan->max_records = UINT64_MAX;
    return given->max_records == Py_None ||
           take_unsigned(given->max_records, "max_records", UINT64_MAX, &scan->max_records);
}

static PyObject *run(struct scan *scan, const struct scan_arguments *given)
{
    PyObject *result = NULL;
    int verdict = -1;

    scan->records = PyList_New(0);
    scan->view = given->copy ? NULL : view_of(given->buffer);
    if (scan->records != NULL && (given->copy || scan->view != NULL))
        verdict = walk(scan);
    if (verdict >= 0)
        result = Py_BuildValue("(OKi)", scan->records, (unsigned long long)scan->lsn, verdict);
    Py_XDECREF(scan->records);
    Py_XDECREF(scan->view);
    Py_XDECREF(scan->group_name);
    return result;
}

const char scan_doc[] =
    "scan($module, /, buffer, lsn, salt, limit_lsn, names, *, kinds, copy=True, max_records=None)\n"
    "--\n\n"
    "Decode the frames of a buffer that begins at LSN lsn into Records.\n\n"
    "Returns (records, next_lsn, verdict).";

PyObject *scan(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "lsn",  "salt",        "limit_lsn", "names",
                            "kinds",  "copy", "max_records", NULL};
    struct module_state *state = PyModule_GetState(module);
    struct scan_arguments given = {.copy = 1, .max_records = Py_None};
    struct scan scan = {.record_type = state->record};
    Py_buffer buffer;
    PyObject *result;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO!|$OpO:scan", names, &given.buffer,
                                     &given.lsn, &given.salt, &given.limit_lsn, &PyList_Type,
                                     &scan.names, &given.kinds, &given.copy, &given.max_records) ||
        !take_numbers(&scan, &given))
        return NULL;
    if (PyObject_GetBuffer(given.buffer, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    scan.bytes = buffer.buf;
    scan.length = (size_t)buffer.len;
    result = run(&scan, &given);
    PyBuffer_Release(&buffer);
    return result;
}
