/* Every block size and threshold of the engine, each with what chose it. Figures are from two
 * cores of an AMD EPYC (Zen 4, AVX-512, 1 MB of second-level cache a core) unless another
 * machine is named; benchmarks/README.md has the tables. All are constants: shards, lanes and
 * the order of every sum depend on them, and so do the bits of a fit. */
#ifndef CYLSTM_TUNING
#define CYLSTM_TUNING

enum {
    /* -- Products (kernels/products.h) -- */

    /* Units of a block, whose gates stand side by side: the floats of one cache line, and one
     * vector of AVX-512. */
    BLOCK_UNITS = 16,
    /* A tile of sums is 6 rows by 4 vectors: 24 of 32 registers hold sums, 4 the panel. 94 to
     * 99% of the peak of multiply-adds from 16 rows on. */
    TILE_ROWS = 6,
    TILE_VECTORS = 4,
    /* Numbers of the four vectors at the widest instruction set. */
    WIDEST_PANEL = 64,
    /* Scores of a block of the head: one panel of AVX-512. */
    HEAD_BLOCK = 64,
    /* Heads of so few scores are thin (kernels/thin.h). */
    THIN_SCORES = 2,
    /* Rows of the left operand that stay in cache from panel to panel. */
    ROWS_AT_ONCE = 96,
    /* At most so many terms of a sum are added between two visits of the output: 256 KB of a panel
     * of AVX-512, which stay in the second-level cache from tile to tile. On Zen 5, with 1 MB of
     * it, dL/dz U' of 32 and 64 rows went from 239 and 235 to 258 and 259 GFLOP/s at 1024 units,
     * from 180 and 208 to 254 and 256 at 2048; 512 terms were 1 to 3% slower at 512 units. */
    TERMS_AT_ONCE = 1024,
    /* With at least so many tiles of rows, whole panels of wide weights fetch what is multiplied
     * next meanwhile, a line at each term: three tiles three quarters of a panel, four all of it.
     * x W + h U of 32 rows went from 241 to 255 GFLOP/s at 1024 units, from 206 to 254 at 2048.
     * With two tiles each term had to fetch two lines, which was slower than the CPU's own
     * prefetching. */
    FETCHING_TILES = 3,
    /* Rows evict each other from a cache where they are further apart than FAR_APART numbers and
     * by a multiple of COLLIDING_BYTES, and are copied side by side first. That is worth 7% of a
     * training step with AVX2 at 256 units; at 650 units a copy would take 6% of the products of
     * a wide head for nothing. */
    FAR_APART = 256,
    COLLIDING_BYTES = 256,
    /* Steps over which a tile of a gradient of weights is summed at a time. At 1024 units and
     * 2560 steps 64 of them, and inputs that were not copied first, ran at 72 GFLOP/s; 128 at
     * 96, 256 and 512 at 110. */
    STEPS_AT_ONCE = 256,
    /* Weights of a column that are quantized at a time (kernels/int8.h); whole quads. */
    INT8_AT_ONCE = 256,
    /* Numbers that a sum in int8 may have: each term is at most 127^2, the sum below 2^31. */
    MAX_INT8_DEPTH = 1 << 17,
    /* How far ahead in each of 16 rows weights are fetched while they are packed. */
    WEIGHTS_AHEAD = 64,
    /* The general product (kernels/products.h, multiply): rows for which a panel is copied
     * once, and terms of a sum between two visits of the output. With 768 rather than 256, on
     * Zen 5, 10,000 scores of 700 steps of 650 units ran at 247 instead of 237 GFLOP/s, their
     * gradients of weights at 212 instead of 205. */
    MULTIPLY_ROWS = 1024,
    MULTIPLY_DEPTH = 768,
    /* Its scratch: a panel of the widest instruction set and columns of the left operand. */
    MULTIPLY_SCRATCH = MULTIPLY_DEPTH * (WIDEST_PANEL + ROWS_AT_ONCE),
    /* Rows of a chain's scratch (kernels/crf.h). */
    CHAIN_ROWS = 5,
    /* Scratch of a gradient of weights: a panel. */
    PANEL_SCRATCH = STEPS_AT_ONCE * WIDEST_PANEL,

    /* -- One layer (network/layer.h) -- */

    /* Gate columns computed before their cells are updated: 16 KB of floats, half of the
     * smallest first-level cache in use. */
    GATES_AT_ONCE = 4096,
    /* Rows of a shard up to which x W of all steps comes first, so that a step reads U and not W
     * as well. At (1, 60, 256, 256) it is 1.3 times as fast, at (1, 60, 64, 256) 1.1 (in int8 1.25
     * and 1.04); with two rows no faster, with 16 3% slower. */
    INPUTS_FIRST_ROWS = 1,
    /* Blocks of units that one panel of columns spans at most in products with dL/dz: 4 blocks
     * of 16 are one panel of AVX-512. */
    PORTION = 4,

    /* -- Shards, lanes and teams (network/schedule.c) -- */

    /* Rows of a shard, more or less: up to half as many more where it comes out even. At
     * (128, 100, 64, 256) shards of 8, 12, 18, 24 and 32 rows were 9, 8, 5, 6 and 16% slower:
     * fewer rows read the weights more often, more leave threads idle and push history out of
     * the cache. */
    SHARD_ROWS = 16,
    /* Batches of fewer than FEW_ROWS are cut into smaller shards, so that four threads have
     * work at a batch of 32. */
    SMALL_SHARD_ROWS = 8,
    FEW_ROWS = 64,
    /* Packed weights (numbers, 2 MB in float32) from which they are wide, so that products fetch
     * them ahead, and a layer's shards have more rows: at (32, 30, 64, 512) one shard, whose units
     * two threads share, is 7% faster than four of 8 rows, at (20, 20, 200, 200) one is 5% slower
     * than two of 10. */
    WIDE_WEIGHTS = 1 << 19,
    WIDE_SHARD_ROWS = 32,
    /* And from which (16 MB) they have more still: one core multiplies 16, 32, 64 and 128 rows at
     * 102, 107, 111 and 113 GFLOP/s at 1024 units. */
    MANY_WEIGHTS = 1 << 22,
    VERY_WIDE_SHARD_ROWS = 64,
    /* Lanes sum gradients independently of each other; so many threads can train at once. */
    MAX_LANES = 16,
    /* Gradient numbers of all lanes together: 256 MiB in float32. */
    LANE_BUDGET = 1 << 26,
    /* Floating-point operations below which waking a second thread costs more than it saves:
     * some 50 microseconds of one core. */
    PARALLEL_WORK = 2000000,
    /* Likewise those of one team member between two barriers. */
    MEMBER_WORK = 50000,
    /* Polls of a barrier before the waiting thread yields its core: between two steps some
     * microseconds pass, too short to sleep. */
    BARRIER_SPINS = 2000,
    /* Nanoseconds of a yield after which a team sleeps where it would yield: another process has
     * had the core for a time slice. With one and two busy processes a call that takes 0.6 ms on
     * one thread took up to 160 and 316 ms with yields alone, 20 and 30 with sleeps. */
    LONG_YIELD = 500000,
    /* Whether teams are faster is found out: by the first calls in turn, a team's first, then by
     * trials of the slower way. The calls between trials double while trials lose, or win by
     * luck. Only 4 calls come before the first trial: a disturbed call that makes the faster way
     * seem slower is put right after some 10 calls, with 16 after 30. */
    FIRST_CALLS = 8,
    TRIAL_CALLS = 2,
    TRIALS_APART = 4,
    MAX_TRIALS_APART = 4096,
    /* Gradients that one thread adds up over the lanes at a time, and parameters that it copies:
     * 16 KB. */
    REDUCTION_BLOCK = 4096,
    /* Rows of recurrent weights that one thread drops at a time. */
    WEIGHT_ROWS_AT_ONCE = 64,

    /* -- Prediction -- */

    /* Packed rows of a shard in memory at a time; a few hundred are enough for the products to
     * run at full speed. */
    CHUNK_ROWS = 512,

    /* -- Wide heads (network/wide_head.h) -- */

    /* Scores per step from which a head is wide. At 512 scores both take the same time; at 10,000
     * words the wide one is 1.5 times as fast as PyTorch, the narrow one about as fast. */
    WIDE_SCORES = 512,
    /* Scores of a batch: 256 MiB in float32. */
    MAX_SCORES = 1 << 26,
    /* Padded steps (rows x longest) below which the history is always small enough. */
    FEW_STEPS = 1 << 18,
    /* What a thread takes at most at a time: with 700 steps of 650 units dL/dfeatures runs at 66,
     * 89 and 94 GFLOP/s with 96, 192 and 384 steps. */
    CLASSES_AT_ONCE = 384,
    HEAD_STEPS_AT_ONCE = 384,
    SOFTMAX_STEPS_AT_ONCE = 16,
    EMBEDDING_COLUMNS_AT_ONCE = 64,

    /* -- Optimizers (cylstm/_updates.pyx) -- */

    /* Parameters that one thread updates in some ten microseconds. */
    UPDATE_BLOCK = 1 << 15,

    /* -- Memory -- */

    /* Bytes of a cache line: buffers start on their own, so that no two threads share one. */
    CACHE_LINE = 64,
    /* Stacked layers of a network. */
    MAX_LAYERS = 64,
};

#endif
