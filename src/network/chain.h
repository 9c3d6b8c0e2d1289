/* The memory of a CRF's chain (kernels/crf.h), and its place in the parameters. */

/* Transitions (K, K), start (K,) and end (K,). */
static void chain_read(chain *c, const real *parameters)
{
    c->transitions = parameters;
    c->start = parameters + c->K * c->K;
    c->end = c->start + c->K;
}

/* For sequences of at most `longest` steps. */
static void chain_take_memory(chain *c, ptrdiff_t K, ptrdiff_t longest, int training, arena *memory)
{
    const ptrdiff_t W = ceil_div(K, BLOCK_UNITS) * BLOCK_UNITS;
    c->K = K;
    c->W = W;
    c->factors = arena_take(memory, K * W, sizeof(real), 1);
    c->transposed = arena_take(memory, K * W, sizeof(real), 1);
    c->alphas = arena_take(memory, longest * W, sizeof(real), 1);
    c->rows = arena_take(memory, CHAIN_ROWS * W, sizeof(real), 1);
    c->scores = arena_take(memory, longest * W, sizeof(real), 1);
    c->pairs = arena_take(memory, K * W, sizeof(real), training);
}
