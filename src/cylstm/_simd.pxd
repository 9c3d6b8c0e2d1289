"""The kernels of the instruction set in use."""

cdef extern from "kernels/simd.h" nogil:
    ctypedef struct update_kernels:
        double (*sum_of_squares)(Py_ssize_t n, const void* x) noexcept nogil
        double (*penalize)(
            Py_ssize_t n, const void* w, void* gradient, double l1, double l2
        ) noexcept nogil
        void (*scale)(Py_ssize_t n, void* w, double factor) noexcept nogil
        void (*sgd)(
            Py_ssize_t n, void* w, const void* gradient, void* velocity, double scale,
            double rate, double momentum, int nesterov
        ) noexcept nogil
        void (*adam)(
            Py_ssize_t n, void* w, const void* gradient, void* m, void* v, double scale,
            double rate, double correction, double beta_1, double beta_2, double epsilon
        ) noexcept nogil

    ctypedef struct simd_isa:
        const void* kernels
        const void* int8
        update_kernels updates
        bint (*all_finite)(Py_ssize_t n, const void* numbers) noexcept nogil
        double (*multiply_adds)(long rounds) noexcept nogil
        double (*read_numbers)(
            Py_ssize_t n, const void* numbers, long rounds
        ) noexcept nogil

# For numbers of `item` bytes.
cdef const simd_isa* kernels_in_use(size_t item) noexcept nogil
