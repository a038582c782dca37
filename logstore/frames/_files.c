/* The type OpenFiles: single records out of files that somebody keeps open, without waiting for the disk.
 *
 * One call does what takes a dozen in Python: it finds the file, reads, judges the frame, makes the Record.
 * It reads only what is in memory already (RWF_NOWAIT; of the rest the kernel begins to read), so it keeps the
 * interpreter lock meanwhile: no descriptor can be closed under it, and nothing else needs a lock.
 *
 * Whatever is out of the ordinary is not found. That proves nothing, and the caller goes the long way.
 */
#define _GNU_SOURCE
#include "frames/_scan.h"

#include <sys/uio.h>

enum {
    FILES = 32,          /* open at a time */
    KNOWN = 64,          /* groups in files whose points are known, at a time */
    SMALL = 256,         /* bytes read for a record, at first */
    LARGE = 4096,        /* and once larger ones were met */
    BUFFER = 64 * 1024,  /* bytes read at once at most; a longer record is not found */
};

struct file {
    int fd; /* -1: there is none */
    uint32_t salt;
    uint64_t base_lsn;   /* of its first frame */
    uint64_t origin_lsn; /* at offset 0 */
};

/* Where records of a group lie in a file: points, in order, as many seqs as LSNs. */
struct known {
    int file; /* -1: nothing is known */
    uint16_t group;
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t end_lsn; /* the records behind the last point end here */
    Py_buffer seqs;
    Py_buffer lsns;
};

typedef struct {
    PyObject_HEAD
    struct file files[FILES];
    struct known known[KNOWN];
    int file_count;  /* none was ever put behind so many */
    int known_count;
    int next_known;
    size_t size;
    unsigned char *buffer;
} OpenFiles;

static void forget(struct known *known)
{
    if (known->file < 0)
        return;
    known->file = -1;
    PyBuffer_Release(&known->seqs);
    PyBuffer_Release(&known->lsns);
}

static void drop_file(OpenFiles *self, int number)
{
    self->files[number].fd = -1;
    for (int i = 0; i < KNOWN; i++)
        if (self->known[i].file == number)
            forget(&self->known[i]);
}

static PyObject *files_construct(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    OpenFiles *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":OpenFiles", names))
        return NULL;
    self = PyObject_New(OpenFiles, type);
    if (self == NULL)
        return NULL;
    for (int i = 0; i < FILES; i++)
        self->files[i].fd = -1;
    for (int i = 0; i < KNOWN; i++)
        self->known[i].file = -1;
    self->file_count = self->known_count = self->next_known = 0;
    self->size = SMALL;
    self->buffer = PyMem_Malloc(BUFFER);
    if (self->buffer == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void files_dealloc(PyObject *object)
{
    OpenFiles *self = (OpenFiles *)object;
    PyTypeObject *type = Py_TYPE(object);

    for (int i = 0; i < KNOWN; i++)
        forget(&self->known[i]);
    PyMem_Free(self->buffer);
    PyObject_Free(self);
    Py_DECREF(type);
}

static bool take_number(PyObject *value, int *number)
{
    uint64_t taken;

    if (!take_unsigned(value, "number", FILES - 1, &taken))
        return false;
    *number = (int)taken;
    return true;
}

static PyObject *files_put(PyObject *object, PyObject *args)
{
    OpenFiles *self = (OpenFiles *)object;
    PyObject *number_argument, *base_argument, *origin_argument, *salt_argument;
    uint64_t base_lsn, origin_lsn, salt;
    int number, fd;

    if (!PyArg_ParseTuple(args, "OiOOO:put", &number_argument, &fd, &base_argument, &origin_argument,
                          &salt_argument) ||
        !take_number(number_argument, &number) || !take_unsigned(base_argument, "base_lsn", UINT64_MAX, &base_lsn) ||
        !take_unsigned(origin_argument, "origin_lsn", base_lsn, &origin_lsn) ||
        !take_unsigned(salt_argument, "salt", UINT32_MAX, &salt))
        return NULL;
    drop_file(self, number);
    self->files[number] = (struct file){fd, (uint32_t)salt, base_lsn, origin_lsn};
    if (number >= self->file_count)
        self->file_count = number + 1;
    Py_RETURN_NONE;
}

static PyObject *files_drop(PyObject *object, PyObject *number_argument)
{
    int number;

    if (!take_number(number_argument, &number))
        return NULL;
    drop_file((OpenFiles *)object, number);
    Py_RETURN_NONE;
}

static bool are_numbers(const Py_buffer *buffer)
{
    return buffer->len == 0 || (buffer->len % 8 == 0 && (uintptr_t)buffer->buf % 8 == 0);
}

static bool take_points(PyObject *seqs, PyObject *lsns, struct known *known)
{
    if (PyObject_GetBuffer(seqs, &known->seqs, PyBUF_SIMPLE) < 0)
        return false;
    if (PyObject_GetBuffer(lsns, &known->lsns, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&known->seqs);
        return false;
    }
    if (known->seqs.len == known->lsns.len && are_numbers(&known->seqs) && are_numbers(&known->lsns))
        return true;
    PyBuffer_Release(&known->seqs);
    PyBuffer_Release(&known->lsns);
    PyErr_SetString(PyExc_ValueError, "seqs and lsns are arrays of as many 64-bit numbers");
    return false;
}

/* Where to keep this: in the place of what was known before of the same, or of the oldest. */
static struct known *place_for(OpenFiles *self, const struct known *fresh)
{
    struct known *place;

    for (place = self->known; place < self->known + self->known_count; place++)
        if (place->file == fresh->file && place->group == fresh->group)
            return place;
    place = &self->known[self->next_known];
    self->next_known = (self->next_known + 1) % KNOWN;
    if (self->known_count < KNOWN)
        self->known_count++;
    return place;
}

static PyObject *files_know(PyObject *object, PyObject *args)
{
    OpenFiles *self = (OpenFiles *)object;
    PyObject *number, *group_argument, *first, *last, *end, *seqs, *lsns;
    struct known known, *place;
    uint64_t group;

    if (!PyArg_ParseTuple(args, "OOOOOOO:know", &number, &group_argument, &first, &last, &end, &seqs, &lsns) ||
        !take_number(number, &known.file) || !take_unsigned(group_argument, "group", UINT16_MAX, &group) ||
        !take_unsigned(first, "first_seq", UINT64_MAX, &known.first_seq) ||
        !take_unsigned(last, "last_seq", UINT64_MAX, &known.last_seq) ||
        !take_unsigned(end, "end_lsn", UINT64_MAX, &known.end_lsn) || !take_points(seqs, lsns, &known))
        return NULL;
    known.group = (uint16_t)group;
    place = place_for(self, &known);
    forget(place);
    *place = known;
    Py_RETURN_NONE;
}

/* Read what of a file is in memory at an LSN; returns how many bytes, 0 for none. */
static size_t read_cached(const OpenFiles *self, const struct file *file, uint64_t lsn, size_t wanted)
{
#ifdef RWF_NOWAIT
    struct iovec into = {self->buffer, wanted};
    ssize_t got = preadv2(file->fd, &into, 1, (off_t)(lsn - file->origin_lsn), RWF_NOWAIT);
    return got > 0 ? (size_t)got : 0;
#else
    (void)self, (void)file, (void)lsn, (void)wanted;
    return 0;
#endif
}

/* The file that begins last at or below an LSN: the one with its frame, if that is open. */
static const struct file *file_at(const OpenFiles *self, uint64_t lsn)
{
    const struct file *found = NULL;

    for (const struct file *file = self->files; file < self->files + self->file_count; file++)
        if (file->fd >= 0 && file->base_lsn <= lsn && (found == NULL || file->base_lsn > found->base_lsn))
            found = file;
    return found;
}

/* A walk over the bytes that are to be read. */
static struct scan walk_in(OpenFiles *self, const struct file *file, uint64_t lsn, uint64_t limit_lsn,
                           PyObject *names)
{
    struct module_state *state = PyType_GetModuleState(Py_TYPE((PyObject *)self));

    return (struct scan){
        .record_type = state->record, .bytes = self->buffer, .lsn = lsn, .limit_lsn = limit_lsn,
        .salt = file->salt, .names = names, .kinds = UINT64_C(1) << LS_DATA,
    };
}

/* The record of a sound frame, or None if it is of another kind, or of a group not named yet. */
static PyObject *plain_record(struct scan *scan, const struct ls_frame *header)
{
    PyObject *record;

    if (scan_judge(scan, header) != DELIVER || header->group >= PyList_Size(scan->names))
        Py_RETURN_NONE;
    record = scan_record(scan, header);
    Py_XDECREF(scan->group_name);
    return record;
}

/* Take a number that somebody asked for: raises nothing. */
static bool take_plain(PyObject *value, uint64_t *number)
{
    if (!PyLong_CheckExact(value))
        return false;
    *number = PyLong_AsUnsignedLongLong(value);
    if (*number != UINT64_MAX || !PyErr_Occurred())
        return true;
    PyErr_Clear();
    return false;
}

static bool take_names(PyObject *names, const char *function)
{
    if (!PyList_Check(names))
        PyErr_Format(PyExc_TypeError, "names of %s() must be a list", function);
    return PyList_Check(names);
}

static PyObject *files_load(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    OpenFiles *self = (OpenFiles *)object;
    const struct file *file;
    struct ls_frame header = {0};
    enum ls_verdict verdict;
    uint64_t lsn, limit_lsn;
    struct scan scan;

    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "load() takes 3 positional arguments");
    if (!take_unsigned(args[1], "limit_lsn", UINT64_MAX, &limit_lsn) || !take_names(args[2], "load"))
        return NULL;
    file = take_plain(args[0], &lsn) ? file_at(self, lsn) : NULL;
    if (file == NULL)
        Py_RETURN_NONE;
    scan = walk_in(self, file, lsn, limit_lsn, args[2]);
    scan.length = read_cached(self, file, lsn, self->size);
    verdict = scan_check(&scan, &header);
    if (verdict == LS_FRAME_SHORT && scan.length == self->size) {
        uint64_t span = ls_span((uint64_t)header.size - 1);
        self->size = span > LARGE ? LARGE : (size_t)span;
        scan.length = read_cached(self, file, lsn, span > BUFFER ? BUFFER : (size_t)span);
        verdict = scan_check(&scan, &header);
    }
    if (verdict != LS_FRAME_OK)
        Py_RETURN_NONE;
    return plain_record(&scan, &header);
}

/* How many of these numbers, which are in order, are not above `most`. */
static size_t count_up_to(const uint64_t *numbers, size_t count, uint64_t most)
{
    size_t low = 0;

    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (numbers[middle] <= most)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/* From where to where in a file a seq's record lies, if it is there; from nowhere to nowhere if points lie. */
static bool bracket(const struct known *known, uint64_t seq, uint64_t *from, uint64_t *to)
{
    const uint64_t *lsns = known->lsns.buf;
    size_t count = (size_t)known->seqs.len / 8;
    size_t at = count_up_to(known->seqs.buf, count, seq);

    if (at == 0)
        return false;
    *from = lsns[at - 1];
    *to = at < count ? lsns[at] : known->end_lsn;
    return true;
}

static const struct known *known_of(const OpenFiles *self, uint64_t group, uint64_t seq)
{
    for (const struct known *known = self->known; known < self->known + self->known_count; known++)
        if (known->file >= 0 && known->group == group && known->first_seq <= seq && seq <= known->last_seq)
            return known;
    return NULL;
}

/* Walk from the scan's place to a record, a buffer at a time. */
static PyObject *walk(OpenFiles *self, const struct file *file, struct scan *scan, uint64_t group, uint64_t seq)
{
    struct ls_frame header;
    enum ls_verdict verdict;
    bool found;
    uint64_t from;

    do {
        uint64_t left = scan->limit_lsn - scan->lsn;
        from = scan->lsn;
        scan->offset = 0;
        scan->length = read_cached(self, file, from, left < BUFFER ? (size_t)left : BUFFER);
        verdict = scan_to(scan, group, seq, &found, &header);
        if (found && verdict == LS_FRAME_OK)
            return plain_record(scan, &header);
    } while (verdict == LS_FRAME_SHORT && scan->lsn > from);
    Py_RETURN_NONE;
}

static PyObject *files_load_seq(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    OpenFiles *self = (OpenFiles *)object;
    const struct known *known;
    uint64_t group, seq, from, to;
    struct scan scan;

    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "load_seq() takes 3 positional arguments");
    if (!take_unsigned(args[0], "group", UINT16_MAX, &group) || !take_names(args[2], "load_seq"))
        return NULL;
    known = take_plain(args[1], &seq) ? known_of(self, group, seq) : NULL;
    if (known == NULL || !bracket(known, seq, &from, &to))
        Py_RETURN_NONE;
    scan = walk_in(self, &self->files[known->file], from, to, args[2]);
    return walk(self, &self->files[known->file], &scan, group, seq);
}

static PyMethodDef files_methods[] = {
    {"put", files_put, METH_VARARGS,
     "put($self, number, fd, base_lsn, origin_lsn, salt, /)\n--\n\nTake in an open file."},
    {"drop", files_drop, METH_O,
     "drop($self, number, /)\n--\n\nForget a file: its descriptor may be closed."},
    {"know", files_know, METH_VARARGS,
     "know($self, number, group, first_seq, last_seq, end_lsn, seqs, lsns, /)\n--\n\n"
     "Take in where records of a group lie in a file."},
    {"load", (PyCFunction)(void (*)(void))files_load, METH_FASTCALL,
     "load($self, lsn, limit_lsn, names, /)\n--\n\nReturn the DATA record at an LSN, or None."},
    {"load_seq", (PyCFunction)(void (*)(void))files_load_seq, METH_FASTCALL,
     "load_seq($self, group, seq, names, /)\n--\n\nReturn the DATA record with a seq, or None."},
    {NULL, NULL, 0, NULL},
};

static const char files_doc[] = "OpenFiles()\n--\n\n"
                                "Single records out of files that somebody keeps open.";

static PyType_Slot files_slots[] = {
    {Py_tp_doc, (void *)files_doc},     {Py_tp_new, files_construct},
    {Py_tp_dealloc, files_dealloc},     {Py_tp_methods, files_methods},
    {0, NULL},
};

PyType_Spec files_spec = {
    .name = "logstore.frames.OpenFiles",
    .basicsize = sizeof(OpenFiles),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = files_slots,
};
