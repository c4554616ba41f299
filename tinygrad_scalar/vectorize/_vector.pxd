# Elementary functions of many numbers, which the native executors share; see _vector.pyx.

cdef extern from "_vector.h":
    enum:
        VECTOR_EXP, VECTOR_EXPM1, VECTOR_LOG, VECTOR_LOG1P, VECTOR_SIGMOID, VECTOR_TANH, VECTOR_SOFTPLUS,
        VECTOR_NORMAL_CDF, VECTOR_GELU, VECTOR_SILU, VECTOR_ELU, VECTOR_SELU, VECTOR_MISH, VECTOR_HARDTANH, VECTOR_SOFTSIGN
    ctypedef void (*VectorFunction)(Py_ssize_t n, const double* z, double* a, double* slope) noexcept nogil

# a[i] = tanh z[i], slope[i] = tanh′ z[i] for i < n, if n is not 0: vector_functions[VECTOR_TANH](n, z, a, slope);
# slope may be NULL, a may be z
cdef const VectorFunction* vector_functions
