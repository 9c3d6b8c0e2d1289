/* A network as the kernels see it: its layers and head, their places in the flat vector of
 * parameters and in packed form. The same for both precisions; numbers, not bytes.
 *
 * Letters: B rows (sequences) of a batch or shard, T steps, N packed rows (the sum of lengths),
 * I inputs, H units, R outputs (the hidden state), G gate columns, D features and K scores of the
 * head, V tokens of the vocabulary, P parameters. */
#ifndef CYLSTM_PLAN
#define CYLSTM_PLAN

#include <stddef.h>
#include <stdint.h>

#include "../kernels/blocks.h"
#include "../kernels/cell_table.h"
#include "../tuning.h"

typedef struct {
    const char *name;
    const char *gates;         /* in the order in which they are stacked */
    const char *see_x, *see_h; /* the gates that see the inputs, the hidden state, */
    const char *see_rh;        /* the reset gate times it, */
    const char *see_c;         /* and the cell state, through peepholes */
    const char *state;         /* "hc" or "h" */
} cell_facts;

extern const cell_facts cell_table[N_CELLS];
extern const char *const loss_names[];
extern const int n_losses;

/* A product of inputs with weights (gates * units, inputs) that are packed for it. The head is
 * one with a single gate that sees its features. */
typedef struct {
    ptrdiff_t n_gates;
    ptrdiff_t n_units;  /* H */
    int packed;         /* else BLAS multiplies, and all stands as in the flat vector */
    ptrdiff_t width;    /* units of a block (the last one may have columns for fewer) */
    ptrdiff_t n_blocks;
    ptrdiff_t n_padded; /* S: H in whole BLOCK_UNITS, or H where it is not packed */
    ptrdiff_t n_columns; /* G: those of units_with_columns, or of H where it is not packed */
    ptrdiff_t depth;    /* rows of the packed columns: numbers that a gate sees */
    ptrdiff_t per_column; /* numbers of memory that a packed column takes: depth, less in int8 */
    /* The same places for weights and gradients: packed columns (depth x G), and biases block
     * by block (n_gates, width), S of each gate. */
    ptrdiff_t columns_at, bias_at;
} packed_columns;

/* How the gates of a layer see one operand: each gate's place among the rows of its weights, -1
 * where it does not see it; and which do, side by side. */
typedef struct {
    signed char rows[MAX_GATES];
    ptrdiff_t first, last;
} gates_seeing;

/* One layer in one direction. */
typedef struct {
    int cell;
    int relu;           /* phi is relu, else tanh */
    packed_columns columns;
    ptrdiff_t n_inputs; /* I */
    ptrdiff_t n_outputs; /* R, numbers of h: H, or fewer, */
    int projects;        /* which weight_hr then makes of the cells' outputs; */
    ptrdiff_t h_stride;  /* and a row of dL/dh: in whole blocks where it is packed */
    packed_columns projection; /* of one gate, without bias; R units that see H cells */
    int recurrent;      /* some gate sees h */
    int resets;         /* some gate sees r h, r being the first one */
    int alike;          /* every gate sees all operands */
    ptrdiff_t n_peepholes;
    int has_cell_state; /* besides h */
    int normalized;     /* by layer normalization (layer_norm.h) */
    ptrdiff_t int8_depth; /* with weights in int8: rows of the packed columns, in whole quads */
    gates_seeing x, h, rh;
    gates_seeing state; /* either h or r h: the rows of weight_hh */
    /* Places in the flat vector. */
    ptrdiff_t weight_ih; /* (gates that see x * H, I) */
    ptrdiff_t weight_hh; /* (gates that see h or r h * H, R) */
    ptrdiff_t bias;      /* (gates * H,) */
    ptrdiff_t peephole;  /* (n_peepholes, H) */
    ptrdiff_t weight_hr; /* (R, H) where it projects */
    ptrdiff_t norm_ih;   /* (gates that see x * H,) gains of layer normalization, rows as */
    ptrdiff_t norm_hh;   /* (gates that see h or r h * H,) of the weights; and of the cell */
    ptrdiff_t norm_c, bias_c; /* state (H,), with a bias */
    /* Places among the packed weights, */
    ptrdiff_t peephole_at;             /* block by block (n_peepholes, width), */
    ptrdiff_t norm_ih_at, norm_hh_at;  /* (n_gates, width), */
    ptrdiff_t norm_c_at, bias_c_at;    /* (width,), */
    ptrdiff_t end_at;                  /* behind the last of them; */
    /* and for backward alone. */
    ptrdiff_t rows_h_at, rows_rh_at, rows_x_at, rows_m_at;
} layer_plan;

typedef struct {
    packed_columns columns; /* of one gate; K units that see D features */
    ptrdiff_t n_scores;     /* K */
    ptrdiff_t n_features;   /* D */
    ptrdiff_t weight;       /* (K, D) in the flat vector */
    ptrdiff_t bias;         /* (K,) */
    int thin;               /* kept as it is, (K, D): lanes run along the features */
    ptrdiff_t rows_at;      /* (K x D) packed, for backward */
} head_plan;

/* How the steps of a sequence become the head's input (pooling.h). */
#define POOLINGS(X) X(last) X(mean) X(max) X(attention)
enum pooling {
#define POOL_NUMBER(name) POOL_##name,
    POOLINGS(POOL_NUMBER)
#undef POOL_NUMBER
    N_POOLINGS,
    POOL_ahead = N_POOLINGS /* not into one: as many as n_ahead of them, each for itself */
};
extern const char *const pooling_names[];

typedef struct {
    /* Layer by layer, its directions one after the other. */
    layer_plan layers[2 * MAX_LAYERS];
    ptrdiff_t n_layers;
    ptrdiff_t n_directions; /* 1 or 2 */
    head_plan head;
    ptrdiff_t n_inputs;     /* I of the first layer */
    ptrdiff_t n_state;      /* numbers of one sequence's state */
    int per_step;           /* scores for every step, not only for the last */
    ptrdiff_t n_ahead;      /* or for so many steps from a sequence's seam on; else 0 */
    int residual;           /* a level's inputs are added to its outputs where they are as many */
    int pooling;
    ptrdiff_t n_pool_state; /* numbers that it carries from step to step */
    /* What stands after the head and is read there: of a CRF the transitions (K, K), start (K,)
     * and end (K,), of attention A (D, D), a (D,) and v (D,); how many numbers, and where their
     * gradients are. */
    ptrdiff_t tail, n_tail, tail_at;
    ptrdiff_t vocabulary;   /* V, rows of the embedding; 0 without */
    int tied;               /* the head's weights are the first rows of the embedding */
    ptrdiff_t n_dense;      /* parameters before the embedding, which comes last */
    int packed;
    ptrdiff_t n_layer_gradients; /* numbers of the layers' gradients, in the kernels' layout */
    ptrdiff_t n_gradients;       /* and of the head's */
    ptrdiff_t n_weights;         /* of all weights, forward and backward */
    ptrdiff_t n_columns;         /* of those that forward needs */
    ptrdiff_t widest_units;      /* of any layer, padding included */
    ptrdiff_t widest_inputs;     /* of any layer */
    ptrdiff_t widest_projection; /* h_stride of any layer that projects, 0 without */
    ptrdiff_t deepest;           /* numbers that a gate, a projected one or a score sees */
    ptrdiff_t most_weights;      /* of any layer, packed, as if all blocks were whole */
    double layers_work;          /* floating-point operations of a step of a row, forward */
    int loss;
    const double *levels;        /* (K,) of the quantile loss */
    const void *kernels;         /* of the instruction set, in the precision of the call */
    const void *int8;            /* those for layers with weights in int8, or NULL */
} network_plan;

/* Complete a plan of which cells, sizes, places in the flat vector, `packed` and `int8` are given.
 * With weights in int8 a plan is for prediction alone. */
void plan_layout(network_plan *plan);

/* What has to be packed. */
typedef enum {
    FOR_FORWARD,        /* columns */
    FOR_BACKWARD,       /* and rows for dL/dh and dL/dinputs of all layers but the first */
    FOR_INPUT_GRADIENTS /* and of the first */
} pack_purpose;

static inline ptrdiff_t plan_n_layers(const network_plan *plan)
{
    return plan->n_layers * plan->n_directions;
}

/* Numbers of one row's state: h, and c where the cell has it. */
static inline ptrdiff_t layer_n_state(const layer_plan *layer)
{
    return layer->n_outputs + (layer->has_cell_state ? layer->columns.n_units : 0);
}

/* Units of a block that have columns. */
static inline ptrdiff_t units_of_block(const packed_columns *columns, ptrdiff_t block)
{
    const ptrdiff_t left = columns->n_columns / columns->n_gates - block * columns->width;
    return left < columns->width ? left : columns->width;
}

/* Whether something above the stack reads the outputs of all steps. */
static inline int plan_has_outputs(const network_plan *plan)
{
    return plan->per_step || plan->pooling != POOL_last;
}

/* Rows of the head for each sequence, where it has not one for each step. */
static inline ptrdiff_t plan_n_head_rows(const network_plan *plan)
{
    return plan->n_ahead ? plan->n_ahead : 1;
}

/* Parameters of the layers, which the flat vector starts with; the head follows. */
static inline ptrdiff_t plan_n_layer_parameters(const network_plan *plan)
{
    return plan->tied ? plan->head.bias : plan->head.weight;
}

static inline ptrdiff_t min_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t max_of(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static inline ptrdiff_t ceil_div(ptrdiff_t n, ptrdiff_t size) { return (n + size - 1) / size; }
/* n units or columns in whole blocks. */
static inline ptrdiff_t in_blocks(ptrdiff_t n) { return ceil_div(n, BLOCK_UNITS) * BLOCK_UNITS; }
/* The rows that an operand of n numbers has in int8. */
static inline ptrdiff_t in_quads(ptrdiff_t n) { return ceil_div(n, 4) * 4; }

#endif
