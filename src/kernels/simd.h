/* Instruction sets: which there are, which one this CPU runs, and the kernels of each. */
#ifndef CYLSTM_SIMD
#define CYLSTM_SIMD

#include <stddef.h>

#if defined(__x86_64__) || defined(_M_X64)
#define SIMD_X86 1
#else
#define SIMD_X86 0
#endif

/* AVX512_VNNI differs from AVX512 in products with weights in int8 alone. */
enum { BASELINE, AVX2, AVX512, AVX512_VNNI, N_ISAS };

/* Steps of the optimizers on n numbers in place: kernels/updates.h. The numbers are of the
 * set's precision. */
typedef struct {
    double (*sum_of_squares)(ptrdiff_t n, const void *x);
    double (*penalize)(ptrdiff_t n, const void *w, void *gradient, double l1, double l2);
    void (*scale)(ptrdiff_t n, void *w, double factor);
    void (*sgd)(
        ptrdiff_t n, void *w, const void *gradient, void *velocity, double scale, double rate,
        double momentum, int nesterov);
    void (*adam)(
        ptrdiff_t n, void *w, const void *gradient, void *m, void *v, double scale,
        double rate, double correction, double beta_1, double beta_2, double epsilon);
} update_kernels;

/* All of one instruction set in one precision. */
typedef struct {
    /* Of types `kernels` and `int8_kernels`, in kernels.h: for the network alone. */
    const void *kernels;
    const void *int8; /* NULL in double */
    update_kernels updates;
    int (*all_finite)(ptrdiff_t n, const void *numbers); /* kernels/finite.h */
    /* kernels/peak.h */
    double (*multiply_adds)(long rounds);
    double (*read_numbers)(ptrdiff_t n, const void *numbers, long rounds);
} simd_isa;

extern const char *const simd_names[N_ISAS];

/* The highest that this CPU runs. */
int simd_highest(void);

/* One that this CPU runs, for numbers of `item` bytes. */
const simd_isa *simd_kernels(int isa, size_t item);

#endif
