/* Layers with weights in int8 (kernels/int8.h): where their packed columns stand, and the operands
 * of a step. */

/* Quads, scales and offsets one after the other. */
static int8_columns columns_in_int8(const layer_plan *p, const real *packed)
{
    const ptrdiff_t G = p->columns.n_columns;
    real *start = (real *)packed + p->columns.columns_at;
    real *scales = start + G * p->int8_depth / 4;
    return (int8_columns){(int8_t *)start, scales, (int32_t *)(scales + 2 * G)};
}

/* A thread's memory for the operands of a step. */
typedef struct {
    int8_t *values; /* (B, I + H) in whole quads */
    real *scales;   /* (2, B) */
} int8_scratch;

static void int8_take_memory(int8_scratch *s, const network_plan *plan, ptrdiff_t B, arena *memory)
{
    const ptrdiff_t widest = in_quads(plan->widest_inputs) + in_quads(plan->widest_units);
    const int wanted = plan->int8 != NULL;
    s->values = arena_take(memory, B * widest, 1, wanted);
    s->scales = arena_take(memory, 2 * B, sizeof(real), wanted);
}

/* x_t and h_{t-1} of n rows. */
static void quantize_operands(
    const layer_plan *p, const int8_kernels *int8, ptrdiff_t n, const real *x,
    const real *h_prev, const int8_scratch *scratch, int8_rows *operands)
{
    const ptrdiff_t I = p->n_inputs, H = p->columns.n_units;
    operands[0] = (int8_rows){scratch->values, scratch->scales, in_quads(I)};
    operands[1] = (int8_rows){
        scratch->values + n * in_quads(I), scratch->scales + n, in_quads(H)};
    int8->quantize_rows(n, I, x, &operands[0]);
    if (p->recurrent)
        int8->quantize_rows(n, H, h_prev, &operands[1]);
}
