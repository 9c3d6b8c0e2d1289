/* The table of cells, and the kernels of _cells.h by cell, activation and level. */

/* X(name, gates in their order, how many, peephole vectors, recurrent product) */
#define CELLS(X)                           \
    X(lstm, "ifgo", 4, 0, 1)               \
    X(peephole, "ifgo", 4, 3, 1)           \
    X(peephole_lagged, "ifgo", 4, 3, 1)    \
    X(coupled, "igo", 3, 0, 1)             \
    X(input_gated, "ifgo", 4, 0, 0)

#include "_activations_simd.h"
#include "_block.h"

#define SIMD_SOURCE "_cells.h"
#include "_simd.h"

typedef struct {
    const char *name;
    const char *gates;
    int n_gates;
    int n_peepholes;
    int recurrent;
} cell_facts;

static const cell_facts cells[] = {
#define CELL_FACTS(name, gates, G, peepholes, recurrent) {#name, gates, G, peepholes, recurrent},
    CELLS(CELL_FACTS)
#undef CELL_FACTS
};
static const int n_cells = sizeof(cells) / sizeof(cells[0]);

#if SIMD_X86
#define CELL_LEVELS(f, type) {f##_##type##_baseline, f##_##type##_avx2, f##_##type##_avx512}
#else
#define CELL_LEVELS(f, type) {f##_##type##_baseline}
#endif

#define CELL_DISPATCH(type)                                                               \
    static __typeof__(lstm_tanh_forward_##type##_baseline) *const                         \
        cell_forward_table_##type[][2][SIMD_LEVELS] = {CELLS(CELL_FORWARD_##type)};       \
    static __typeof__(lstm_tanh_backward_##type##_baseline) *const                        \
        cell_backward_table_##type[][2][SIMD_LEVELS] = {CELLS(CELL_BACKWARD_##type)};
#define CELL_FORWARD_float(c, gates, G, p, r)                                             \
    {CELL_LEVELS(c##_tanh_forward, float), CELL_LEVELS(c##_relu_forward, float)},
#define CELL_FORWARD_double(c, gates, G, p, r)                                            \
    {CELL_LEVELS(c##_tanh_forward, double), CELL_LEVELS(c##_relu_forward, double)},
#define CELL_BACKWARD_float(c, gates, G, p, r)                                            \
    {CELL_LEVELS(c##_tanh_backward, float), CELL_LEVELS(c##_relu_backward, float)},
#define CELL_BACKWARD_double(c, gates, G, p, r)                                           \
    {CELL_LEVELS(c##_tanh_backward, double), CELL_LEVELS(c##_relu_backward, double)},
CELL_DISPATCH(float)
CELL_DISPATCH(double)

#define cell_forward_float(cell, relu, ...) \
    cell_forward_table_float[cell][relu][simd_level()](__VA_ARGS__)
#define cell_forward_double(cell, relu, ...) \
    cell_forward_table_double[cell][relu][simd_level()](__VA_ARGS__)
#define cell_backward_float(cell, relu, ...) \
    cell_backward_table_float[cell][relu][simd_level()](__VA_ARGS__)
#define cell_backward_double(cell, relu, ...) \
    cell_backward_table_double[cell][relu][simd_level()](__VA_ARGS__)
