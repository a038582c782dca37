/* The type Survey: the Python face of survey.c.
 *
 * Feeding releases the interpreter lock, so another thread could come to the same Survey meanwhile;
 * it is told so by a RuntimeError rather than made to wait.
 */
#include "frames/_frame.h"

#include "frames/survey.h"

typedef struct {
    PyObject_HEAD
    struct ls_survey survey;
    bool in_use; /* read and written with the interpreter lock held */
} Survey;

/* The survey behind the object, or NULL with an exception set while another call uses it. */
static struct ls_survey *survey_of(PyObject *self)
{
    Survey *object = (Survey *)self;

    if (!object->in_use)
        return &object->survey;
    PyErr_SetString(PyExc_RuntimeError, "this Survey is in use by another call");
    return NULL;
}

static PyObject *survey_construct(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"lsn", "salt", "stride", NULL};
    PyObject *lsn_argument, *salt_argument, *stride_argument = NULL;
    uint64_t lsn, salt, stride = 64;
    Survey *object;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:Survey", names, &lsn_argument,
                                     &salt_argument, &stride_argument) ||
        !take_unsigned(lsn_argument, "lsn", UINT64_MAX, &lsn) ||
        !take_unsigned(salt_argument, "salt", UINT32_MAX, &salt) ||
        (stride_argument != NULL && !take_unsigned(stride_argument, "stride", UINT32_MAX, &stride)))
        return NULL;
    if (stride == 0) {
        PyErr_SetString(PyExc_ValueError, "stride must be at least 1");
        return NULL;
    }
    object = PyObject_New(Survey, type);
    if (object == NULL)
        return NULL;
    ls_survey_begin(&object->survey, lsn, (uint32_t)salt, stride);
    object->in_use = false;
    return (PyObject *)object;
}

static void survey_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    ls_survey_end(&((Survey *)self)->survey);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *survey_feed(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "limit_lsn", NULL};
    Survey *object = (Survey *)self;
    PyObject *given, *limit_argument;
    enum ls_verdict verdict;
    uint64_t limit_lsn;
    Py_buffer buffer;
    bool fits;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:feed", names, &given, &limit_argument) ||
        !take_unsigned(limit_argument, "limit_lsn", UINT64_MAX, &limit_lsn) ||
        PyObject_GetBuffer(given, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    /* Only now: what came before may run Python code, and with it other threads. */
    if (survey_of(self) == NULL) {
        PyBuffer_Release(&buffer);
        return NULL;
    }
    object->in_use = true;
    Py_BEGIN_ALLOW_THREADS
    fits = ls_survey_feed(&object->survey, buffer.buf, (size_t)buffer.len, limit_lsn, &verdict);
    Py_END_ALLOW_THREADS
    object->in_use = false;
    PyBuffer_Release(&buffer);
    if (!fits)
        return PyErr_NoMemory();
    return Py_BuildValue("(Ki)", (unsigned long long)object->survey.end_lsn, (int)verdict);
}

/* Append an item and give up the reference to it; -1 with an exception set. */
static int append_new(PyObject *list, PyObject *item)
{
    int result = item ? PyList_Append(list, item) : -1;

    Py_XDECREF(item);
    return result;
}

/* The lists below read the survey while they make tuples. A collection that this starts may run
 * Python code, but that code cannot feed: `in_use` stays set until the list is whole. */
typedef int filling(PyObject *list, const struct ls_survey *survey, size_t start);

static PyObject *listed(PyObject *self, filling *fill, size_t start)
{
    Survey *object = (Survey *)self;
    struct ls_survey *survey = survey_of(self);
    PyObject *list = survey ? PyList_New(0) : NULL;

    if (list == NULL)
        return NULL;
    object->in_use = true;
    if (fill(list, survey, start) < 0)
        Py_CLEAR(list);
    object->in_use = false;
    return list;
}

static int fill_groups(PyObject *list, const struct ls_survey *survey, size_t start)
{
    const struct ls_group_range *range = survey->groups.items;

    (void)start;
    for (size_t id = 0; id < survey->groups.count; id++, range++) {
        if (!range->seen)
            continue;
        if (append_new(list, Py_BuildValue("(IKKK)", (unsigned)id,
                                           (unsigned long long)range->first_seq,
                                           (unsigned long long)range->last_seq,
                                           (unsigned long long)range->record_count)) < 0)
            return -1;
    }
    return 0;
}

static int fill_points(PyObject *list, const struct ls_survey *survey, size_t start)
{
    const struct ls_point *points = survey->points.items;

    for (size_t i = start; i < survey->points.count; i++)
        if (append_new(list, Py_BuildValue("(IKK)", (unsigned)points[i].group,
                                           (unsigned long long)points[i].seq,
                                           (unsigned long long)points[i].lsn)) < 0)
            return -1;
    return 0;
}

static int append_frame(PyObject *list, const struct ls_survey *survey,
                        const struct ls_system_frame *frame)
{
    const char *payloads = survey->payloads.items;
    const char *payload = frame->payload_length ? payloads + frame->payload_offset : "";

    return append_new(list, Py_BuildValue("(KIIKy#)", (unsigned long long)frame->lsn,
                                          (unsigned)frame->kind, (unsigned)frame->group,
                                          (unsigned long long)frame->seq, payload,
                                          (Py_ssize_t)frame->payload_length));
}

static int fill_system(PyObject *list, const struct ls_survey *survey, size_t start)
{
    const struct ls_system_frame *frame = survey->system.items;

    (void)start;
    for (size_t left = survey->system.count; left != 0; left--, frame++)
        if (append_frame(list, survey, frame) < 0)
            return -1;
    return 0;
}

static int fill_marks(PyObject *list, const struct ls_survey *survey, size_t start)
{
    const struct ls_system_frame *frame = survey->system.items;

    (void)start;
    for (size_t left = survey->system.count; left != 0; left--, frame++)
        if (frame->kind == LS_MARK && append_frame(list, survey, frame) < 0)
            return -1;
    return 0;
}

/* Append what one transaction has: its LSN, its kind, then for each group what is in it. */
static int append_parts(PyObject *list, const struct ls_transaction_parts *one)
{
    for (const struct ls_part_set *set = one->sets; set != NULL; set = set->next)
        if (set->count != 0 &&
            append_new(list, Py_BuildValue("(KIIKOy#)", (unsigned long long)one->id,
                                           (unsigned)LS_TXN_PART, (unsigned)set->group,
                                           (unsigned long long)set->last_lsn,
                                           one->begun ? Py_True : Py_False,
                                           (const char *)set->ranges,
                                           (Py_ssize_t)(set->count * sizeof *set->ranges))) < 0)
            return -1;
    return 0;
}

static int fill_effects(PyObject *list, const struct ls_survey *survey, size_t start)
{
    const struct ls_system_frame *frames = survey->system.items;
    const struct ls_transaction_parts *ended = survey->parts.ended;

    (void)start;
    for (size_t i = 0; i <= survey->system.count; i++) {
        for (; ended != NULL && ended->ended_before == i; ended = ended->next)
            if (append_parts(list, ended) < 0)
                return -1;
        if (i < survey->system.count && frames[i].kind != LS_MARK && !frames[i].settled &&
            append_frame(list, survey, frames + i) < 0)
            return -1;
    }
    for (size_t i = 0; i < survey->parts.bucket_count; i++)
        for (const struct ls_transaction_parts *one = survey->parts.buckets[i]; one; one = one->next)
            if (append_parts(list, one) < 0)
                return -1;
    return 0;
}

static PyObject *survey_groups(PyObject *self, PyObject *unused)
{
    (void)unused;
    return listed(self, fill_groups, 0);
}

static PyObject *survey_points(PyObject *self, PyObject *args)
{
    Py_ssize_t start = 0;

    if (!PyArg_ParseTuple(args, "|n:points", &start))
        return NULL;
    if (start < 0) {
        PyErr_SetString(PyExc_ValueError, "start must not be negative");
        return NULL;
    }
    return listed(self, fill_points, (size_t)start);
}

static PyObject *survey_system(PyObject *self, PyObject *unused)
{
    (void)unused;
    return listed(self, fill_system, 0);
}

static PyObject *survey_marks(PyObject *self, PyObject *unused)
{
    (void)unused;
    return listed(self, fill_marks, 0);
}

static PyObject *survey_effects(PyObject *self, PyObject *unused)
{
    const struct ls_survey *survey = survey_of(self);

    (void)unused;
    if (survey == NULL)
        return NULL;
    if (survey->parts.odd)
        Py_RETURN_NONE;
    return listed(self, fill_effects, 0);
}

static uint64_t end_lsn(const struct ls_survey *survey)
{
    return survey->end_lsn;
}

static uint64_t batch_lsn(const struct ls_survey *survey)
{
    return survey->in_batch ? survey->batch_lsn : survey->end_lsn;
}

static uint64_t record_count(const struct ls_survey *survey)
{
    return survey->record_count;
}

static uint64_t digest(const struct ls_survey *survey)
{
    return survey->digest;
}

static uint64_t proof_lsn(const struct ls_survey *survey)
{
    return survey->proof_lsn;
}

/* One property a field; the closure points to the function that reads it. */
struct field {
    uint64_t (*read)(const struct ls_survey *survey);
};

static struct field end_lsn_field = {end_lsn};
static struct field batch_lsn_field = {batch_lsn};
static struct field record_count_field = {record_count};
static struct field digest_field = {digest};
static struct field proof_lsn_field = {proof_lsn};

static PyObject *survey_get(PyObject *self, void *closure)
{
    const struct ls_survey *survey = survey_of(self);
    const struct field *field = closure;

    return survey ? PyLong_FromUnsignedLongLong(field->read(survey)) : NULL;
}

static PyGetSetDef survey_fields[] = {
    {"end_lsn", survey_get, NULL, "Behind the last whole valid frame.", &end_lsn_field},
    {"batch_lsn", survey_get, NULL,
     "Where the unfinished batch at the end starts; end_lsn if there is none.", &batch_lsn_field},
    {"record_count", survey_get, NULL, "DATA and TXN_PART frames.", &record_count_field},
    {"digest", survey_get, NULL, "CRC-32C of all bytes up to end_lsn.", &digest_field},
    {"proof_lsn", survey_get, NULL, "Everything below was durable, says some frame.",
     &proof_lsn_field},
    {NULL, NULL, NULL, NULL, NULL},
};

/* A function with keywords goes into the table under the type of one without. */
static PyMethodDef survey_methods[] = {
    {"feed", (PyCFunction)(void (*)(void))survey_feed, METH_VARARGS | METH_KEYWORDS,
     "feed($self, /, buffer, limit_lsn)\n--\n\n"
     "Take in the frames of a buffer that begins at end_lsn. Returns (next_lsn, verdict)."},
    {"groups", survey_groups, METH_NOARGS,
     "groups($self, /)\n--\n\n"
     "List (id, first_seq, last_seq, record_count) of each group, by id."},
    {"points", survey_points, METH_VARARGS,
     "points($self, start=0, /)\n--\n\n"
     "List (id, seq, lsn) of every stride-th record of each group, in log order."},
    {"system", survey_system, METH_NOARGS,
     "system($self, /)\n--\n\n"
     "List (lsn, kind, group, seq, payload) of the frames that are not records."},
    {"marks", survey_marks, METH_NOARGS,
     "marks($self, /)\n--\n\n"
     "List the MARK frames among those of system()."},
    {"effects", survey_effects, METH_NOARGS,
     "effects($self, /)\n--\n\n"
     "List what the range does to transactions, checkpoints, names and reverts; None if a part of "
     "a transaction is odd."},
    {NULL, NULL, 0, NULL},
};

static const char survey_doc[] = "Survey(lsn, salt, stride=64)\n--\n\n"
                                 "What a range of frames holds, fed piece by piece.";

static PyType_Slot survey_slots[] = {
    {Py_tp_doc, (void *)survey_doc},   {Py_tp_new, survey_construct},
    {Py_tp_dealloc, survey_dealloc},   {Py_tp_getset, survey_fields},
    {Py_tp_methods, survey_methods},   {0, NULL},
};

PyType_Spec survey_spec = {
    .name = "logstore.frames.Survey",
    .basicsize = sizeof(Survey),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = survey_slots,
};
