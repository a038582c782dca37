/* What the C files of the module `logstore.frames._frame` share: state, types, arguments.
 *
 * The module keeps to the limited API of CPython 3.11, so one build serves 3.11 and later. Nothing
 * in it calls back into Python code while it holds a pointer into a caller's buffer, except through
 * the buffer's own export.
 */
#ifndef LS_PYTHON_FRAME_H
#define LS_PYTHON_FRAME_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

/* Why a scan or a survey stopped. The first three are those of enum ls_verdict. */
enum verdict {
    VERDICT_END = 0,          /* at the limit, or enough records */
    VERDICT_SHORT = 1,        /* the next frame goes on behind the buffer */
    VERDICT_BAD = 2,
    VERDICT_UNKNOWN_KIND = 3, /* a valid frame that this version cannot read and must not skip */
};

struct module_state {
    PyTypeObject *record;
    PyTypeObject *survey;
    PyTypeObject *files;
};

extern PyType_Spec record_spec;
extern PyType_Spec survey_spec;
extern PyType_Spec files_spec;

/* Convert an argument to an integer from 0 to `maximum`; false with an exception set if not. */
bool take_unsigned(PyObject *value, const char *name, uint64_t maximum, uint64_t *taken);

/* A new Record, or NULL with an exception set. Takes new references to `group` and `payload`. */
PyObject *record_new(PyTypeObject *type, uint64_t lsn, PyObject *group, uint64_t seq, uint8_t kind,
                     PyObject *payload);

/* Give the type its __match_args__; -1 with an exception set if that fails. */
int record_set_match_args(PyTypeObject *type);

/* The module's function `kinds_of`: which kinds a list of Records has. */
PyObject *kinds_of(PyObject *module, PyObject *records);

/* The module's function `scan`. */
PyObject *scan(PyObject *module, PyObject *args, PyObject *kwargs);
extern const char scan_doc[];

/* The module's functions `frame_at` and `find`, which take positional arguments only. */
PyObject *frame_at(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *find(PyObject *module, PyObject *const *args, Py_ssize_t count);
extern const char frame_at_doc[];
extern const char find_doc[];

#endif
