/* The functions frame_at and find: single records out of a buffer. */
#include "frames/_scan.h"

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
    verdict = scan_check(&scan, &header);
    if (verdict != LS_FRAME_OK)
        result = PyLong_FromLong((int)verdict);
    else if (scan_judge(&scan, &header) == DELIVER)
        result = scan_record(&scan, &header);
    else
        result = PyLong_FromLong(scan_judge(&scan, &header) == SKIP ? VERDICT_END : VERDICT_UNKNOWN_KIND);
    Py_XDECREF(scan.group_name);
    PyBuffer_Release(&buffer);
    return result;
}

enum ls_verdict scan_to(struct scan *scan, uint64_t group, uint64_t seq, bool *found,
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
            return *found ? scan_check(scan, header) : LS_FRAME_OK;
        }
        scan_step(scan, header);
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
    verdict = scan_to(&scan, group, seq, &found, &header);
    if (found && verdict == LS_FRAME_OK && scan_judge(&scan, &header) == DELIVER)
        result = scan_record(&scan, &header);
    else
        result = Py_BuildValue("(Ki)", (unsigned long long)scan.lsn,
                               found && verdict == LS_FRAME_OK ? VERDICT_UNKNOWN_KIND : (int)verdict);
    Py_XDECREF(scan.group_name);
    PyBuffer_Release(&buffer);
    return result;
}
