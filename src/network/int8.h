/* Layers with weights in int8 (kernels/int8.h): where their packed columns stand, and the operands
 * of a step. */

/* Quads, scales and offsets one after the other; the latter two for the operands from `operand` on,
 * 0 for x and 1 for h. */
static int8_columns columns_in_int8(const layer_plan *p, const real *packed, int operand)
{
    const ptrdiff_t G = p->columns.n_columns;
    real *start = (real *)packed + p->columns.columns_at;
    real *scales = start + G * p->int8_depth / 4;
    int32_t *offsets = (int32_t *)(scales + 2 * G);
    return (int8_columns){(int8_t *)start, scales + operand * G, offsets + operand * G};
}

/* A thread's memory for operands. */
typedef struct {
    int8_t *x; /* (B, I) in whole quads; (N, I) where inputs come first */
    int8_t *h; /* (B, R) likewise */
    real *x_scales, *h_scales;
} int8_scratch;

static void int8_take_memory(
    int8_scratch *s, const network_plan *plan, ptrdiff_t n_inputs, ptrdiff_t B, arena *memory)
{
    const int wanted = plan->int8 != NULL;
    s->x = arena_take(memory, n_inputs * in_quads(plan->widest_inputs), 1, wanted);
    s->h = arena_take(memory, B * in_quads(plan->widest_units), 1, wanted);
    s->x_scales = arena_take(memory, n_inputs, sizeof(real), wanted);
    s->h_scales = arena_take(memory, B, sizeof(real), wanted);
}

/* n rows of x. */
static int8_rows quantize_inputs(
    const layer_plan *p, const int8_kernels *int8, ptrdiff_t n, const real *x,
    const int8_scratch *scratch)
{
    const int8_rows rows = {scratch->x, scratch->x_scales, in_quads(p->n_inputs)};
    int8->quantize_rows(n, p->n_inputs, x, &rows);
    return rows;
}

/* And of h. */
static int8_rows quantize_states(
    const layer_plan *p, const int8_kernels *int8, ptrdiff_t n, const real *h,
    const int8_scratch *scratch)
{
    const int8_rows rows = {scratch->h, scratch->h_scales, in_quads(p->n_outputs)};
    int8->quantize_rows(n, p->n_outputs, h, &rows);
    return rows;
}
