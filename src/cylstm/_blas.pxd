"""SciPy's BLAS, row-major: the only file that knows it."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

from _blas_int cimport blas_int


cdef inline void gemm_float(
    int transpose_a, int transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const void* a, Py_ssize_t lda, const void* b, Py_ssize_t ldb, double beta, void* c,
    Py_ssize_t ldc,
) noexcept nogil:
    """C (m x n) = op(A) (m x k) op(B) (k x n) + beta C, all row-major.

    A row-major matrix is the transpose of a column-major one with the same leading
    dimension, so BLAS is asked for C' = op(B)' op(A)'.
    """
    cdef char op_a = b"T" if transpose_a else b"N"
    cdef char op_b = b"T" if transpose_b else b"N"
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, inner = <blas_int> k
    cdef blas_int stride_a = <blas_int> lda, stride_b = <blas_int> ldb
    cdef blas_int stride_c = <blas_int> ldc
    cdef float one = 1, beta_ = <float> beta
    if m and n:
        sgemm(&op_b, &op_a, &columns, &rows, &inner, &one, <float*> b, &stride_b,
              <float*> a, &stride_a, &beta_, <float*> c, &stride_c)


cdef inline void gemm_double(
    int transpose_a, int transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const void* a, Py_ssize_t lda, const void* b, Py_ssize_t ldb, double beta, void* c,
    Py_ssize_t ldc,
) noexcept nogil:
    """The same in double."""
    cdef char op_a = b"T" if transpose_a else b"N"
    cdef char op_b = b"T" if transpose_b else b"N"
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, inner = <blas_int> k
    cdef blas_int stride_a = <blas_int> lda, stride_b = <blas_int> ldb
    cdef blas_int stride_c = <blas_int> ldc
    cdef double one = 1
    if m and n:
        dgemm(&op_b, &op_a, &columns, &rows, &inner, &one, <double*> b, &stride_b,
              <double*> a, &stride_a, &beta, <double*> c, &stride_c)
