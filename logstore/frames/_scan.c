/* The function scan: a buffer of frames becomes a list of Records.
 *
 * This is the read path's hot loop. The interpreter lock is held throughout, because every step
 * makes objects; the caller bounds the time by the size of the buffer and by max_records.
 */
#include "frames/_frame.h"

#include "frames/frame.h"

#define KNOWN_FLAGS LS_MORE_OF_BATCH /* any other changes what the payload means */

struct scan {
    const unsigned char *bytes;
    size_t length;
    size_t offset;
    uint64_t lsn;
    uint64_t limit_lsn;
    uint64_t kinds;
    uint64_t max_records;
    uint32_t salt;
    PyTypeObject *record_type;
    PyObject *names;
    PyObject *view;       /* a read-only view of the bytes if payloads are not copied, else NULL */
    PyObject *records;
    PyObject *group_name; /* of the group last seen: records come in runs of one group */
    uint16_t group;
};

enum reading { DELIVER, SKIP, REFUSE };

/* Whether this version can read a valid frame, and whether the caller wants it. */
static enum reading judge(const struct scan *scan, const struct ls_frame *header)
{
    bool known = ls_kind_known(header->kind);

    if (!known && (header->kind & LS_IGNORABLE))
        return SKIP;
    if (!known || (header->flags & ~KNOWN_FLAGS))
        return REFUSE;
    return scan->kinds >> header->kind & 1 ? DELIVER : SKIP;
}

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

/* The record of the frame that the scan is at, or NULL with an exception set. */
static PyObject *record_of(struct scan *scan, const struct ls_frame *header)
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
    PyObject *record = record_of(scan, header);
    int result = record ? PyList_Append(scan->records, record) : -1;

    Py_XDECREF(record);
    return result;
}

static enum ls_verdict check(const struct scan *scan, struct ls_frame *header)
{
    return ls_frame_check(scan->bytes + scan->offset, scan->length - scan->offset, scan->lsn,
                          scan->limit_lsn, scan->salt, header);
}

static void step(struct scan *scan, const struct ls_frame *header)
{
    scan->offset += (size_t)ls_span(header->size - 1);
    scan->lsn += ls_span(header->size - 1);
}

/* Go through the frames; returns the verdict, or -1 with an exception set. */
static int walk(struct scan *scan)
{
    uint64_t left = scan->max_records;
    struct ls_frame header;

    while (scan->lsn < scan->limit_lsn && left != 0) {
        enum ls_verdict verdict = check(scan, &header);
        if (verdict != LS_FRAME_OK)
            return verdict == LS_FRAME_SHORT ? VERDICT_SHORT : VERDICT_BAD;
        enum reading reading = judge(scan, &header);
        if (reading == REFUSE)
            return VERDICT_UNKNOWN_KIND;
        if (reading == DELIVER) {
            if (deliver(scan, &header) < 0)
                return -1;
            left--;
        }
        step(scan, &header);
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

/* What `frame_at` and `find` take first: buffer, offset, lsn, salt, limit_lsn, names. The caller
 * releases the buffer if this returns true. */
static bool begin_at(struct scan *scan, PyObject *const *args, Py_buffer *buffer)
{
    uint64_t offset, salt;

    if (!take_unsigned(args[1], "offset", UINT64_MAX, &offset) ||
        !take_unsigned(args[2], "lsn", UINT64_MAX, &scan->lsn) ||
        !take_unsigned(args[3], "salt", UINT32_MAX, &salt) ||
        !take_unsigned(args[4], "limit_lsn", UINT64_MAX, &scan->limit_lsn))
        return false;
    if (!PyList_Check(args[5])) {
        PyErr_SetString(PyExc_TypeError, "names must be a list");
        return false;
    }
    if (PyObject_GetBuffer(args[0], buffer, PyBUF_SIMPLE) < 0)
        return false;
    if (offset > (uint64_t)buffer->len) {
        PyBuffer_Release(buffer);
        PyErr_SetString(PyExc_ValueError, "offset lies behind the buffer");
        return false;
    }
    scan->salt = (uint32_t)salt;
    scan->names = args[5];
    scan->bytes = buffer->buf;
    scan->length = (size_t)buffer->len;
    scan->offset = (size_t)offset;
    scan->kinds = UINT64_MAX;
    return true;
}

static PyObject *wrong_count(const char *name, int wanted)
{
    return PyErr_Format(PyExc_TypeError, "%s() takes %d positional arguments", name, wanted);
}

const char frame_at_doc[] = "frame_at($module, buffer, offset, lsn, salt, limit_lsn, names, /)\n--\n\n"
                            "Return the Record of the frame at an offset, or a verdict.";

PyObject *frame_at(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct module_state *state = PyModule_GetState(module);
    struct scan scan = {.record_type = state->record};
    struct ls_frame header;
    enum ls_verdict verdict;
    Py_buffer buffer;
    PyObject *result;

    if (count != 6)
        return wrong_count("frame_at", 6);
    if (!begin_at(&scan, args, &buffer))
        return NULL;
    verdict = check(&scan, &header);
    if (verdict != LS_FRAME_OK)
        result = PyLong_FromLong((int)verdict);
    else if (judge(&scan, &header) == DELIVER)
        result = record_of(&scan, &header);
    else
        result = PyLong_FromLong(judge(&scan, &header) == SKIP ? VERDICT_END : VERDICT_UNKNOWN_KIND);
    Py_XDECREF(scan.group_name);
    PyBuffer_Release(&buffer);
    return result;
}

/* Walk to the record with this seq, or to where it can be no more; the verdict says which.
 *
 * Only that record's checksum is looked at. A damaged header on the way leads to a record that is
 * sound and has this seq, which is then the one, or to none, which proves nothing. */
static enum ls_verdict walk_to(struct scan *scan, uint64_t group, uint64_t seq, bool *found,
                               struct ls_frame *header)
{
    *found = false;
    while (scan->lsn < scan->limit_lsn) {
        enum ls_verdict verdict =
            ls_frame_peek(scan->bytes + scan->offset, scan->length - scan->offset, scan->lsn,
                          scan->limit_lsn, header);
        if (verdict != LS_FRAME_OK)
            return verdict;
        if (header->group == group && header->seq >= seq &&
            (header->kind == LS_DATA || header->kind == LS_TXN_PART)) {
            *found = header->seq == seq;
            return *found ? check(scan, header) : LS_FRAME_OK;
        }
        step(scan, header);
    }
    return LS_FRAME_OK;
}

const char find_doc[] = "find($module, buffer, offset, lsn, salt, limit_lsn, names, group, seq, /)\n--\n\n"
                        "Return the Record with a seq of a group, or (next_lsn, verdict).";

PyObject *find(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct module_state *state = PyModule_GetState(module);
    struct scan scan = {.record_type = state->record};
    struct ls_frame header;
    enum ls_verdict verdict;
    uint64_t group, seq;
    Py_buffer buffer;
    PyObject *result;
    bool found;

    if (count != 8)
        return wrong_count("find", 8);
    if (!take_unsigned(args[6], "group", UINT16_MAX, &group) ||
        !take_unsigned(args[7], "seq", UINT64_MAX, &seq) || !begin_at(&scan, args, &buffer))
        return NULL;
    verdict = walk_to(&scan, group, seq, &found, &header);
    if (found && verdict == LS_FRAME_OK && judge(&scan, &header) == DELIVER)
        result = record_of(&scan, &header);
    else
        result = Py_BuildValue("(Ki)", (unsigned long long)scan.lsn,
                               found && verdict == LS_FRAME_OK ? VERDICT_UNKNOWN_KIND : (int)verdict);
    Py_XDECREF(scan.group_name);
    PyBuffer_Release(&buffer);
    return result;
}
