/* Vectors of the instruction set. */

/* Numbers of a vector. */
#define VECTOR_SIZE (SIMD_BYTES / (int)sizeof(real))

typedef real vec __attribute__((vector_size(SIMD_BYTES)));
/* The same in memory, at any address. */
typedef real vec_in_memory
    __attribute__((vector_size(SIMD_BYTES), aligned(sizeof(real)), may_alias));

/* Keeps compilers from scatter and gather instructions, which are slower here. */
#define NOT_IN_VECTORS __asm__ volatile("")

/* Rounds a product before it is added to something: compilers fuse the two or not, from one copy of
 * an inlined function to the next. */
#if SIMD_X86
#define ROUND_PRODUCT(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define ROUND_PRODUCT(x) __asm__("" : "+w"(x))
#else
#define ROUND_PRODUCT(x) __asm__("" : "+m"(x))
#endif

static inline ptrdiff_t min_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Halves are added until one number is left. */
INLINE real sum_of_lanes(vec sums)
{
    real lanes[VECTOR_SIZE];
    memcpy(lanes, &sums, sizeof(lanes));
    for (int width = VECTOR_SIZE / 2; width; width /= 2)
        for (int k = 0; k < width; k++)
            lanes[k] += lanes[k + width];
    return lanes[0];
}
