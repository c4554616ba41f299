# cython: language_level=3, binding=False
"""Elementary functions of many numbers in the machine's vector instructions (_vector_functions.h).

They are a module of their own because _tape.pyx and _blocks.pyx both run them, and with their loops for each
instruction set they are a third of the machine code. The best that the machine has is in use from the start.
"""

cdef extern from "_vector_functions.h":
    const VectorFunction* vector_loops
    bint vector_use(const char*) noexcept

NUMBERS = {
    "exp": VECTOR_EXP, "expm1": VECTOR_EXPM1, "log": VECTOR_LOG, "log1p": VECTOR_LOG1P, "sigmoid": VECTOR_SIGMOID,
    "tanh": VECTOR_TANH, "softplus": VECTOR_SOFTPLUS, "normal cdf": VECTOR_NORMAL_CDF, "gelu": VECTOR_GELU,
    "silu": VECTOR_SILU, "elu": VECTOR_ELU, "selu": VECTOR_SELU, "mish": VECTOR_MISH, "hardtanh": VECTOR_HARDTANH,
    "softsign": VECTOR_SOFTSIGN,
}


def evaluate(str name, str instruction_set, Py_ssize_t n, size_t z, size_t a, size_t slope):
    """For tests: a function with an instruction set, of n numbers at these addresses, the last of which may be 0.

    Returns whether this machine and build have the instruction set; does nothing if not.
    """
    cdef int number = NUMBERS[name]
    cdef bint has = vector_use(instruction_set.encode())
    if has and n:
        vector_loops[number](n, <double*>z, <double*>a, <double*>slope)
    vector_use(NULL)
    return has


vector_use(NULL)
vector_functions = vector_loops
