/* Vectors of the instruction set. */

/* Numbers of a vector. */
#define VECTOR_SIZE (SIMD_BYTES / (int)sizeof(real))

typedef real vec __attribute__((vector_size(SIMD_BYTES)));
/* The same in memory, at any address. */
typedef real vec_in_memory
    __attribute__((vector_size(SIMD_BYTES), aligned(sizeof(real)), may_alias));

/* Keeps compilers from scatter and gather instructions, which are slower here. */
#define NOT_IN_VECTORS __asm__ volatile("")

static inline ptrdiff_t min_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
