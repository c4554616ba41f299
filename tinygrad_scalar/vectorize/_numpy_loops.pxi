# NumPy's own loops for elementary functions, which use the machine's vector instructions: part of _tape.pyx and of
# _blocks.pyx. They are found through NumPy's ufunc objects, whose layout is part of NumPy's ABI.

ctypedef void (*UfuncLoop)(char** arguments, const Py_ssize_t* n, const Py_ssize_t* strides, void* data) noexcept nogil

cdef struct Ufunc:  # the front of NumPy's PyUFuncObject
    Py_ssize_t references
    void* type
    int n_inputs
    int n_outputs
    int n_arguments
    int identity
    UfuncLoop* loops
    void** data
    int n_types
    int reserved
    const char* name
    const char* types

cdef struct Function:
    UfuncLoop loop
    void* data

cdef enum:
    N_CODES = 128
    DOUBLE = 12  # NumPy's number for float64

cdef Function functions[N_CODES]


cdef void find_loop(int code, str name, int n_inputs) noexcept:
    """Find NumPy's loop for a function of float64; none unless it is exactly as expected."""
    functions[code].loop = NULL
    ufunc = getattr(np, name)
    cdef Ufunc* layout = <Ufunc*><PyObject*>ufunc
    cdef int i, k
    cdef bint fits
    if type(ufunc) is not np.ufunc or (layout.n_inputs, layout.n_outputs, layout.n_types) != (n_inputs, 1, ufunc.ntypes):
        return
    for i in range(layout.n_types):
        fits = True
        for k in range(n_inputs + 1):
            fits = fits and layout.types[(n_inputs + 1) * i + k] == DOUBLE
        if fits:
            functions[code].loop = layout.loops[i]
            functions[code].data = layout.data[i]
            break


cdef inline void numpy_function(int code, Py_ssize_t n, double* out, double* x) noexcept nogil:
    """A function of each of n numbers: by NumPy's loop, or one after the other."""
    cdef char* arguments[2]
    cdef Py_ssize_t strides[2]
    cdef Py_ssize_t i
    cdef double slope
    if functions[code].loop is not NULL:
        arguments[0] = <char*>x
        arguments[1] = <char*>out
        strides[0] = strides[1] = sizeof(double)
        functions[code].loop(arguments, &n, strides, functions[code].data)
        return
    for i in range(n):
        _ops.unary(<Code>code, 0.0, x[i], out + i, &slope)
