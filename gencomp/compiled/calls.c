/* Calls kernels that numba compiled ahead of time, from Python, without numba.
 *
 * A kernel's entry takes one block of 64-bit words. Each number is a word; an array is its address, its shape and its
 * strides in bytes; a tuple is its items, one after the other. On success the entry returns 0, and has overwritten the
 * block with the kernel's result, written the same way, but for arrays: an array is its owner (a Memory), its address
 * and its shape.
 *
 * Formats, for arguments and results: a number is a letter of Python's buffer protocol. An array is four characters:
 * '[' if it must be writable, else '{'; the letter of its elements; its layout, 'C', 'F' or 'A' for any; and its
 * number of dimensions. Parentheses hold a tuple, and 'n' is None.
 *
 * Only the stable ABI of Python 3.11 is used, and no header of numpy's: arrays come through the buffer protocol.
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

#define MAX_WORDS 1024
#define MAX_VIEWS 192
#define MAX_DIMENSIONS 8

/* ---- Processors ---- */

#if defined(__x86_64__)
#include <cpuid.h>

/* Return the level of x86-64, 1 to 3, that processor and system have, by the lists of the System V psABI, section 3.1.1.
   Compilers know these levels by name only since GCC 12. */
int x86_64_level(void)
{
    const unsigned sse3 = 1, ssse3 = 1 << 9, fma = 1 << 12, cx16 = 1 << 13, sse4 = 3 << 19, movbe = 1 << 22;
    const unsigned popcnt = 1 << 23, osxsave = 1 << 27, avx = 1 << 28, f16c = 1 << 29; /* of leaf 1, ECX */
    const unsigned lahf = 1, lzcnt = 1 << 5;                                            /* of leaf 0x80000001, ECX */
    const unsigned bmi = 1 << 3, avx2 = 1 << 5, bmi2 = 1 << 8;                          /* of leaf 7, EBX */
    const unsigned second = sse3 | ssse3 | cx16 | sse4 | popcnt, third = fma | movbe | osxsave | avx | f16c;
    const unsigned third_of_7 = bmi | avx2 | bmi2;
    unsigned a, b, c, d, basic, extended, leaf_7, enabled, high;
    if (!__get_cpuid(1, &a, &b, &basic, &d) || !__get_cpuid(0x80000001, &a, &b, &extended, &d))
        return 1;
    if ((basic & second) != second || !(extended & lahf))
        return 1;
    if (!__get_cpuid_count(7, 0, &a, &leaf_7, &c, &d) || (leaf_7 & third_of_7) != third_of_7)
        return 2;
    if ((basic & third) != third || !(extended & lzcnt))
        return 2;
    __asm__("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0)); /* the system saves the registers of 128 and 256 bits */
    return (enabled & 6) == 6 ? 3 : 2;
}
#endif

/* ---- Memory of arrays that kernels make: numba's code calls these in place of numba's runtime (NRT) ---- */

typedef struct {
    size_t references;
    void (*destroy)(void *, size_t, void *);
    void *destroy_argument;
    void *data;
    size_t size;
    void *allocator;
} Memory;

void *NRT_MemInfo_alloc_aligned(size_t size, unsigned align)
{
    size_t unit = align ? align : 1;
    char *raw = malloc(sizeof(Memory) + size + unit);
    if (raw == NULL)
        return NULL;
    Memory *memory = (Memory *)raw;
    uintptr_t start = (uintptr_t)(raw + sizeof(Memory));
    memory->references = 1;
    memory->destroy = NULL;
    memory->destroy_argument = NULL;
    memory->data = (void *)((start + unit - 1) / unit * unit);
    memory->size = size;
    memory->allocator = NULL;
    return memory;
}

void *NRT_MemInfo_alloc_safe_aligned(size_t size, unsigned align) { return NRT_MemInfo_alloc_aligned(size, align); }

void NRT_MemInfo_call_dtor(Memory *memory) { free(memory); }

void NRT_incref(Memory *memory)
{
    if (memory != NULL)
        __atomic_add_fetch(&memory->references, 1, __ATOMIC_RELAXED);
}

void NRT_decref(Memory *memory)
{
    if (memory != NULL && __atomic_sub_fetch(&memory->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(memory);
}

/* Set the strides of a C-contiguous array in another shape, and return 1; return 0 for any other array, which no
 * kernel reshapes. */
int numba_attempt_nocopy_reshape(Py_ssize_t dimensions, const Py_ssize_t *shape, const Py_ssize_t *strides,
                                 Py_ssize_t new_dimensions, const Py_ssize_t *new_shape, Py_ssize_t *new_strides,
                                 Py_ssize_t item, int fortran)
{
    Py_ssize_t step = item, new_step = item;
    for (Py_ssize_t k = dimensions - 1; k >= 0; k--) {
        if (fortran || (strides[k] != step && shape[k] != 1))
            return 0;
        step *= shape[k];
    }
    for (Py_ssize_t k = new_dimensions - 1; k >= 0; k--) {
        new_strides[k] = new_step;
        new_step *= new_shape[k];
    }
    return step == new_step;
}

/* ---- From Python's values to words ---- */

typedef struct {
    int64_t words[MAX_WORDS];
    int used;
    Py_buffer views[MAX_VIEWS];
    int held;
} Block;

/* numpy's scalar types, by letter */
static const char scalar_letters[] = "bhiqBHIQfd?";
static const char *const scalar_names[] = {"int8",  "int16",  "int32",   "int64",   "uint8", "uint16",
                                           "uint32", "uint64", "float32", "float64", "bool_"};
static PyObject *scalar_types[11];
static PyObject *array_type, *from_buffer;

static int learn_numpy(void)
{
    PyObject *numpy = PyImport_ImportModule("numpy");
    if (numpy == NULL)
        return -1;
    for (int k = 0; k < 11; k++) {
        scalar_types[k] = PyObject_GetAttrString(numpy, scalar_names[k]);
        if (scalar_types[k] == NULL)
            return -1;
    }
    from_buffer = PyObject_GetAttrString(numpy, "frombuffer");
    array_type = PyObject_GetAttrString(numpy, "ndarray");
    Py_DECREF(numpy);
    return array_type == NULL || from_buffer == NULL ? -1 : 0;
}

static int is_numpy_scalar(PyObject *value, char letter)
{
    const char *place = strchr(scalar_letters, letter);
    return place != NULL && (PyObject *)Py_TYPE(value) == scalar_types[place - scalar_letters];
}

/* Each of these returns 1 where the value fits the format, 0 where it does not, and -1 with an error set. */

static int take_number(Block *block, char letter, PyObject *value)
{
    if (block->used == MAX_WORDS)
        return 0;
    int64_t *word = &block->words[block->used];
    *word = 0;
    if (letter == 'q' && PyLong_CheckExact(value)) {
        int overflow;
        *word = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return 0;
    } else if (letter == 'd' && PyFloat_Check(value)) {
        double number = PyFloat_AsDouble(value);
        memcpy(word, &number, sizeof number);
    } else if (letter == '?' && (PyBool_Check(value) || is_numpy_scalar(value, letter))) {
        int truth = PyObject_IsTrue(value);
        if (truth < 0)
            return -1;
        *word = truth;
    } else if (letter == 'Q' && (PyLong_CheckExact(value) || is_numpy_scalar(value, letter))) {
        PyObject *number = PyNumber_Index(value);
        if (number == NULL)
            return -1;
        uint64_t whole = PyLong_AsUnsignedLongLong(number);
        Py_DECREF(number);
        if (whole == (uint64_t)-1 && PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
        if (whole <= INT64_MAX && PyLong_CheckExact(value))
            return 0; /* numba takes a Python int as int64 where it fits */
        memcpy(word, &whole, sizeof whole);
    } else if (is_numpy_scalar(value, letter)) {
        PyObject *number = letter == 'f' ? PyNumber_Float(value) : PyNumber_Index(value);
        if (number == NULL)
            return -1;
        if (letter == 'f') {
            float single = (float)PyFloat_AsDouble(number);
            memcpy(word, &single, sizeof single);
        } else {
            *word = PyLong_AsLongLong(number);
        }
        Py_DECREF(number);
    } else {
        return 0;
    }
    block->used++;
    return 1;
}

static int same_elements(const Py_buffer *view, char letter)
{
    static const char kinds[] = "bhilqBHILQfd?";
    static const char classes[] = "iiiiiuuuuuff?";
    const char *format = view->format == NULL ? "B" : view->format;
    if (*format == '@' || *format == '=')
        format++;
    if (format[0] == 0 || format[1] != 0)
        return 0;
    const char *found = strchr(kinds, format[0]), *wanted = strchr(kinds, letter);
    if (found == NULL || classes[found - kinds] != classes[wanted - kinds])
        return 0;
    static const char sizes[] = {1, 2, 4, 8, 8, 1, 2, 4, 8, 8, 4, 8, 1}; /* 'l' is told by the item's size */
    return view->itemsize == sizes[wanted - kinds];
}

static int take_array(Block *block, const char *format, PyObject *value)
{
    int dimensions = format[3] - '0';
    if ((PyObject *)Py_TYPE(value) != array_type)
        return 0;
    if (block->held == MAX_VIEWS || block->used + 1 + 2 * dimensions > MAX_WORDS)
        return 0;
    Py_buffer *view = &block->views[block->held];
    if (PyObject_GetBuffer(value, view, PyBUF_STRIDES | PyBUF_FORMAT) < 0) {
        PyErr_Clear(); /* the elements have no letter */
        return 0;
    }
    block->held++;
    if (view->ndim != dimensions || (view->readonly && format[0] == '[') || !same_elements(view, format[1]))
        return 0;
    if ((uintptr_t)view->buf % (uintptr_t)view->itemsize != 0)
        return 0;
    if (format[2] != 'A' && !PyBuffer_IsContiguous(view, format[2]))
        return 0;
    int64_t *words = &block->words[block->used];
    words[0] = (int64_t)(intptr_t)view->buf;
    int64_t step = view->itemsize;
    for (int k = 0; k < dimensions; k++) {
        words[1 + k] = view->shape[k];
        words[1 + dimensions + k] = view->strides[k];
    }
    /* a contiguous array's strides follow from its layout: numpy's may differ where a length is 0 or 1 */
    for (int k = 0; k < dimensions && format[2] != 'A'; k++) {
        int axis = format[2] == 'C' ? dimensions - 1 - k : k;
        words[1 + dimensions + axis] = step;
        step *= view->shape[axis];
    }
    block->used += 1 + 2 * dimensions;
    return 1;
}

static int take(Block *block, const char **format, PyObject *value)
{
    char letter = **format;
    if (letter == '[' || letter == '{') {
        int fits = take_array(block, *format, value);
        *format += 4;
        return fits;
    }
    (*format)++;
    if (letter == 'n')
        return value == Py_None;
    if (letter != '(')
        return take_number(block, letter, value);
    if (!PyTuple_Check(value))
        return 0;
    Py_ssize_t size = PyTuple_Size(value);
    for (Py_ssize_t k = 0; k < size; k++) {
        if (**format == ')')
            return 0;
        int fits = take(block, format, PyTuple_GetItem(value, k));
        if (fits != 1)
            return fits;
    }
    if (**format != ')')
        return 0;
    (*format)++;
    return 1;
}

/* ---- From words to Python's values ---- */

static PyObject *give(const int64_t **words, const char **format);

/* Return None, counted. Py_RETURN_NONE of the headers of Python 3.12 and newer does not count it, whatever the limited
   API, and a library that was built with them would take None's last reference from Python 3.11. */
static PyObject *none(void)
{
    Py_IncRef(Py_None);
    return Py_None;
}

static PyObject *give_array(const int64_t **words, const char *format)
{
    static const char wide[] = "hHiIfqQd";
    int dimensions = format[3] - '0';
    Memory *memory = (Memory *)(intptr_t)(*words)[0];
    const char *data = (const char *)(intptr_t)(*words)[1];
    const char *place = strchr(wide, format[1]);
    Py_ssize_t size = place == NULL ? 1 : place - wide < 2 ? 2 : place - wide < 5 ? 4 : 8;
    PyObject *shape = PyTuple_New(dimensions);
    for (int k = 0; shape != NULL && k < dimensions; k++) {
        size *= (Py_ssize_t)(*words)[2 + k];
        PyTuple_SetItem(shape, k, PyLong_FromLongLong((*words)[2 + k]));
    }
    *words += 2 + dimensions;
    char letter[2] = {format[1], 0};
    PyObject *bytes = PyByteArray_FromStringAndSize(data, size);
    NRT_decref(memory);
    PyObject *flat = NULL, *array = NULL;
    if (bytes != NULL && shape != NULL)
        flat = size ? PyObject_CallFunction(from_buffer, "Os", bytes, letter)
                    : PyObject_CallFunction(array_type, "(n)s", (Py_ssize_t)0, letter);
    if (flat != NULL)
        array = PyObject_CallMethod(flat, "reshape", "O", shape);
    Py_XDECREF(bytes);
    Py_XDECREF(shape);
    Py_XDECREF(flat);
    return array;
}

static PyObject *give_tuple(const int64_t **words, const char **format)
{
    PyObject *items = PyList_New(0);
    while (items != NULL && **format != ')') {
        PyObject *item = give(words, format);
        if (item == NULL || PyList_Append(items, item) < 0)
            Py_CLEAR(items);
        Py_XDECREF(item);
    }
    if (items == NULL)
        return NULL;
    (*format)++;
    PyObject *tuple = PyList_AsTuple(items);
    Py_DECREF(items);
    return tuple;
}

static PyObject *give(const int64_t **words, const char **format)
{
    if (**format == '[') {
        PyObject *array = give_array(words, *format);
        *format += 4;
        return array;
    }
    char letter = *(*format)++;
    if (letter == 'n')
        return none();
    if (letter == '(')
        return give_tuple(words, format);
    int64_t word = *(*words)++;
    double number;
    float single;
    switch (letter) {
    case '?': return PyBool_FromLong((long)(word & 1));
    case 'b': return PyLong_FromLong((int8_t)word);
    case 'h': return PyLong_FromLong((int16_t)word);
    case 'i': return PyLong_FromLong((int32_t)word);
    case 'q': return PyLong_FromLongLong(word);
    case 'B': return PyLong_FromLong((uint8_t)word);
    case 'H': return PyLong_FromLong((uint16_t)word);
    case 'I': return PyLong_FromUnsignedLong((uint32_t)word);
    case 'Q': return PyLong_FromUnsignedLongLong((uint64_t)word);
    case 'd': memcpy(&number, &word, sizeof number); return PyFloat_FromDouble(number);
    case 'f': memcpy(&single, &word, sizeof single); return PyFloat_FromDouble(single);
    }
    PyErr_SetString(PyExc_SystemError, "a kernel's result has a format that is not known");
    return NULL;
}

/* ---- The type Kernel ---- */

typedef struct {
    PyObject_HEAD
    int first, count; /* its rows of the table */
    PyObject *defaults, *otherwise;
} Kernel;

static int variant = -1;

static void release(Block *block)
{
    while (block->held > 0)
        PyBuffer_Release(&block->views[--block->held]);
    block->used = 0;
}

/* Return, as take() does, whether the arguments fit the row; if they do not, release the buffers taken so far. */
static int fill(Block *block, const Row *row, PyObject *arguments, PyObject *defaults)
{
    const char *format = row->arguments;
    Py_ssize_t given = PyTuple_Size(arguments), added = PyTuple_Size(defaults), missing = row->count - given;
    int fits = missing >= 0 && missing <= added;
    for (Py_ssize_t k = 0; fits == 1 && k < row->count; k++)
        fits = take(block, &format,
                    k < given ? PyTuple_GetItem(arguments, k) : PyTuple_GetItem(defaults, added - row->count + k));
    if (fits != 1)
        release(block);
    return fits;
}

static PyObject *kernel_call(PyObject *object, PyObject *arguments, PyObject *named)
{
    Kernel *self = (Kernel *)object;
    if (self->count > 0 && (named == NULL || PyDict_Size(named) == 0)) {
        Block block;
        block.used = block.held = 0;
        if (array_type == NULL && learn_numpy() < 0)
            return NULL;
        for (int k = 0; k < self->count; k++) {
            const Row *row = &table[self->first + k];
            int fits = fill(&block, row, arguments, self->defaults);
            if (fits < 0)
                return NULL;
            if (!fits)
                continue;
            PyThreadState *state = PyEval_SaveThread();
            int status = row->entries[variant](block.words);
            PyEval_RestoreThread(state);
            release(&block);
            if (status != 0)
                return PyErr_NoMemory(); /* kernels raise nothing: only allocating an array can fail */
            const int64_t *words = block.words;
            const char *format = row->result;
            return give(&words, &format);
        }
    }
    return PyObject_Call(self->otherwise, arguments, named);
}

static PyObject *kernel_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    const char *name;
    PyObject *defaults, *otherwise;
    (void)named;
    if (!PyArg_ParseTuple(arguments, "sO!O", &name, &PyTuple_Type, &defaults, &otherwise))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Kernel *self = (Kernel *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(defaults);
    Py_INCREF(otherwise);
    self->defaults = defaults;
    self->otherwise = otherwise;
    self->first = self->count = 0;
    int low = 0, high = table_size;
    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(table[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    self->first = low;
    while (low + self->count < table_size && strcmp(table[low + self->count].name, name) == 0)
        self->count++;
    return (PyObject *)self;
}

static int kernel_traverse(PyObject *object, visitproc visit, void *arg)
{
    Kernel *self = (Kernel *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->defaults);
    Py_VISIT(self->otherwise);
    return 0;
}

static int kernel_clear(PyObject *object)
{
    Kernel *self = (Kernel *)object;
    Py_CLEAR(self->defaults);
    Py_CLEAR(self->otherwise);
    return 0;
}

static void kernel_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    kernel_clear(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* attributes that a kernel lacks, such as py_func, are those of the object behind it */
static PyObject *kernel_attribute(PyObject *object, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(object, name);
    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyErr_Clear();
    return PyObject_GetAttr(((Kernel *)object)->otherwise, name);
}

static PyType_Slot kernel_slots[] = {
    {Py_tp_new, kernel_new},           {Py_tp_call, kernel_call},       {Py_tp_traverse, kernel_traverse},
    {Py_tp_clear, kernel_clear},       {Py_tp_dealloc, kernel_dealloc}, {Py_tp_getattro, kernel_attribute},
    {0, NULL},
};

static PyType_Spec kernel_spec = {
    "gencomp.compiled._library.Kernel", sizeof(Kernel), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, kernel_slots,
};

/* ---- The module ---- */

static PyObject *variant_name(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (variant < 0)
        return none();
    return PyUnicode_FromString(variant_names[variant]);
}

static PyMethodDef functions[] = {
    {"variant", variant_name, METH_NOARGS, "Return the name of the processors whose code runs here, or None."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_library", "Kernels compiled ahead of time.", -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__library(void)
{
    for (int k = 0; k < variant_count && variant < 0; k++)
        if (variant_runs(k))
            variant = k;
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module == NULL ? NULL : PyType_FromSpec(&kernel_spec);
    if (type == NULL || PyModule_AddObject(module, "Kernel", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
