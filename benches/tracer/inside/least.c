/* The least recorder that is exact, to measure the agent against. It is part of this bench alone.

   For each line it asks the context variable whose work runs, and sets one bit for (context, code object, line). A request
   has a context of its own. It keeps nothing from a kill, follows no work into threads, and knows neither files nor runs.

   Compiled by the bench for one Python, with all of CPython's API at hand. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_OFF 0
#define MAX_CODES 16384
#define TABLE (4 * MAX_CODES)

typedef struct {
    PyObject *code;
    uint32_t first, length, offset;
    int touched;
} Known;

typedef struct {
    PyObject_HEAD
    uint64_t *bits;
    size_t words;
} Context;

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
} Callback;

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *app;
} Middleware;

typedef struct {
    PyObject_HEAD
    PyObject *answer, *iterator, *context;
} Body;

static Known known[MAX_CODES];
static uint16_t table[TABLE];
static size_t codes, bits_used;
static unsigned long long missed, recorded;
static PyObject *variable, *set_local_events, *tool, *no_events, *all_events, *disable, *header, *close_name;
static PyObject *last_name, *folders;
static int last_wanted, silencing, counting, ledger = -1;
static const char record[120];

static PyTypeObject ContextType, CallbackType, MiddlewareType, BodyType;

static size_t place_of(PyObject *code) { return ((uintptr_t)code >> 4 ^ (uintptr_t)code >> 16) % TABLE; }

static Known *find(PyObject *code) {
    for (size_t place = place_of(code); table[place]; place = (place + 1) % TABLE)
        if (known[table[place] - 1].code == code)
            return &known[table[place] - 1];
    return NULL;
}

static Known *add(PyObject *code) {
    if (codes == MAX_CODES)
        return NULL;
    Known *one = &known[codes++];
    one->code = Py_NewRef(code);
    one->first = (uint32_t)((PyCodeObject *)code)->co_firstlineno;
    /* Blank lines and comments take room, too; what does not fit is counted as missed. */
    one->length = (uint32_t)Py_SIZE(code) * 4 + 64;
    one->offset = (uint32_t)bits_used;
    bits_used += one->length;
    size_t place = place_of(code);
    while (table[place])
        place = (place + 1) % TABLE;
    table[place] = (uint16_t)codes;
    return one;
}

static int set_events(PyObject *code, PyObject *events) {
    PyObject *args[] = {tool, code, events};
    PyObject *done = PyObject_Vectorcall(set_local_events, args, 3, NULL);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    return 0;
}

/* Whether the code of a file is of interest; the code objects of a file share its name. */
static int is_wanted(PyObject *code) {
    PyObject *name = ((PyCodeObject *)code)->co_filename;
    if (name != last_name) {
        last_wanted = 0;
        for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(folders); at++)
            last_wanted |= PyUnicode_Tailmatch(name, PyTuple_GET_ITEM(folders, at), 0, PY_SSIZE_T_MAX, -1) == 1;
        Py_XSETREF(last_name, Py_NewRef(name));
    }
    return last_wanted;
}

static PyObject *on_line(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    PyObject *value = NULL;
    if (PyContextVar_Get(variable, NULL, &value) < 0 || value == NULL)
        return NULL;
    if (Py_IS_TYPE(value, &ContextType)) {
        Context *context = (Context *)value;
        Known *one = find(args[0]);
        uint32_t line = (uint32_t)PyUnstable_Long_CompactValue((PyLongObject *)args[1]);
        if (one != NULL && line - one->first < one->length) {
            size_t bit = one->offset + (line - one->first);
            if (bit / 64 >= context->words) {
                size_t words = bits_used / 64 + 1;
                uint64_t *bits = realloc(context->bits, words * sizeof *bits);
                if (bits == NULL) {
                    Py_DECREF(value);
                    return PyErr_NoMemory();
                }
                memset(bits + context->words, 0, (words - context->words) * sizeof *bits);
                context->bits = bits;
                context->words = words;
            }
            context->bits[bit / 64] |= (uint64_t)1 << bit % 64;
            one->touched = 1;
        } else {
            missed++;
        }
    }
    Py_DECREF(value);
    return Py_NewRef(silencing ? disable : Py_None);
}

static PyObject *on_entry(PyObject *self, PyObject *const *args, size_t count, PyObject *names) { Py_RETURN_NONE; }

static PyObject *on_first(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    if (is_wanted(args[0]) && find(args[0]) == NULL) {
        if (add(args[0]) == NULL)
            missed++;
        else if (set_events(args[0], all_events) < 0)
            return NULL;
    }
    return Py_NewRef(disable);
}

static PyObject *callback(vectorcallfunc call) {
    Callback *made = PyObject_New(Callback, &CallbackType);
    if (made != NULL)
        made->call = call;
    return (PyObject *)made;
}

/* A request's context. */
static PyObject *begin(void) {
    if (silencing)
        for (size_t at = 0; at < codes; at++)
            if (known[at].touched) {
                known[at].touched = 0;
                if (set_events(known[at].code, no_events) < 0 || set_events(known[at].code, all_events) < 0)
                    return NULL;
            }
    Context *context = PyObject_New(Context, &ContextType);
    if (context == NULL)
        return NULL;
    context->words = bits_used / 64 + 1;
    context->bits = calloc(context->words, sizeof *context->bits);
    return (PyObject *)context;
}

static void context_dealloc(PyObject *self) {
    Context *context = (Context *)self;
    if (counting && context->bits != NULL)
        for (size_t at = 0; at < context->words; at++)
            recorded += (unsigned)__builtin_popcountll(context->bits[at]);
    free(context->bits);
    PyObject_Free(self);
}

static int switch_to(PyObject *value) {
    PyObject *undo = PyContextVar_Set(variable, value);
    if (undo == NULL)
        return -1;
    Py_DECREF(undo);
    return 0;
}

/* Work that calls the app, under a context; steals nothing. */
static PyObject *back(PyObject *result) {
    PyObject *error = result == NULL ? PyErr_GetRaisedException() : NULL;
    if (switch_to(Py_None) < 0) {
        Py_XDECREF(error);
        Py_XDECREF(result);
        return NULL;
    }
    if (error != NULL)
        PyErr_SetRaisedException(error);
    return result;
}

/* What is promised before the work, and proven after it: without it, nobody knows what is missing. */
static int tell(void) {
    if (ledger >= 0 && write(ledger, record, sizeof record) != (ssize_t)sizeof record) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

static PyObject *body_next(PyObject *self) {
    Body *body = (Body *)self;
    if (switch_to(body->context) < 0)
        return NULL;
    if (body->iterator == NULL && (body->iterator = PyObject_GetIter(body->answer)) == NULL)
        return back(NULL);
    PyObject *piece = PyIter_Next(body->iterator);
    if (piece == NULL && !PyErr_Occurred())
        return switch_to(Py_None) < 0 ? NULL : piece; /* the end */
    return back(piece);
}

static PyObject *body_close(PyObject *self, PyObject *unused) {
    Body *body = (Body *)self;
    if (switch_to(body->context) < 0)
        return NULL;
    PyObject *closed = back(PyObject_CallMethodNoArgs(body->answer, close_name));
    return closed != NULL && tell() < 0 ? NULL : closed;
}

static void body_dealloc(PyObject *self) {
    Body *body = (Body *)self;
    Py_XDECREF(body->answer);
    Py_XDECREF(body->iterator);
    Py_XDECREF(body->context);
    PyObject_Free(self);
}

static PyObject *respond(PyObject *self, PyObject *const *args, size_t count, PyObject *names) {
    PyObject *app = ((Middleware *)self)->app;
    if (PyDict_GetItemWithError(args[0], header) == NULL)
        return PyObject_Vectorcall(app, args, 2, NULL);
    if (tell() < 0)
        return NULL;
    PyObject *context = begin();
    if (context == NULL || switch_to(context) < 0)
        return NULL;
    PyObject *answer = back(PyObject_Vectorcall(app, args, 2, NULL));
    if (answer != NULL && PyList_CheckExact(answer)) {
        Py_DECREF(context);
        return tell() < 0 ? NULL : answer;
    }
    Body *body = answer == NULL ? NULL : PyObject_New(Body, &BodyType);
    if (body == NULL) {
        Py_DECREF(context);
        return NULL;
    }
    body->answer = answer;
    body->iterator = NULL;
    body->context = context;
    return (PyObject *)body;
}

/* listen(tool, events, disable, folders, silencing, ledger): what callbacks need; answers with them: line, entry, first. */
static PyObject *listen_(PyObject *module, PyObject *args) {
    PyObject *sys = PyImport_ImportModule("sys"), *monitoring = sys ? PyObject_GetAttrString(sys, "monitoring") : NULL;
    if (monitoring == NULL || !PyArg_ParseTuple(args, "OOOOpi", &tool, &all_events, &disable, &folders, &silencing, &ledger))
        return NULL;
    Py_INCREF(tool), Py_INCREF(all_events), Py_INCREF(disable), Py_INCREF(folders);
    set_local_events = PyObject_GetAttrString(monitoring, "set_local_events");
    no_events = PyLong_FromLong(EVENTS_OFF);
    variable = PyContextVar_New("least", Py_None);
    header = PyUnicode_InternFromString("HTTP_X_PROFILE_TRACE");
    close_name = PyUnicode_InternFromString("close");
    return Py_BuildValue("NNN", callback(on_line), callback(on_entry), callback(on_first));
}

static PyObject *wrap(PyObject *module, PyObject *app) {
    Middleware *made = PyObject_New(Middleware, &MiddlewareType);
    if (made != NULL) {
        made->call = respond;
        made->app = Py_NewRef(app);
    }
    return (PyObject *)made;
}

/* Lines that were recorded in contexts that are over, and those for which there was no bit. Counted from the first question on, until
   counts(False): that takes time. */
static PyObject *counts(PyObject *module, PyObject *go_on) {
    counting = PyObject_IsTrue(go_on);
    return Py_BuildValue("KK", recorded, missed);
}

static PyTypeObject ContextType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "least.Context",
    .tp_basicsize = sizeof(Context),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = context_dealloc,
};
static PyTypeObject CallbackType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "least.Callback",
    .tp_basicsize = sizeof(Callback),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Callback, call),
    .tp_call = PyVectorcall_Call,
};
static PyTypeObject MiddlewareType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "least.Middleware",
    .tp_basicsize = sizeof(Middleware),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Middleware, call),
    .tp_call = PyVectorcall_Call,
};
static PyMethodDef body_methods[] = {{"close", body_close, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyTypeObject BodyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "least.Body",
    .tp_basicsize = sizeof(Body),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = body_dealloc,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = body_next,
    .tp_methods = body_methods,
};

static PyMethodDef functions[] = {
    {"listen", listen_, METH_VARARGS, NULL},
    {"wrap", wrap, METH_O, NULL},
    {"counts", counts, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "least", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_least(void) {
    if (PyType_Ready(&ContextType) < 0 || PyType_Ready(&CallbackType) < 0 || PyType_Ready(&MiddlewareType) < 0 ||
        PyType_Ready(&BodyType) < 0)
        return NULL;
    return PyModule_Create(&definition);
}
