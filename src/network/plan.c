/* Where everything of a network stands. */
#include "plan.h"

#include <string.h>

#include "losses.h"

const cell_facts cell_table[N_CELLS] = {
#define FACTS(name, ...) {#name, __VA_ARGS__},
    CELLS(FACTS)
#undef FACTS
};

const char *const loss_names[] = {
#define NAME(name, ...) #name,
    LOSSES(NAME)
#undef NAME
};
const int n_losses = sizeof(loss_names) / sizeof(loss_names[0]);

const char *const pooling_names[] = {
#define NAME(name) #name,
    POOLINGS(NAME)
#undef NAME
};

/* Blocks, and the places of columns and biases from `at` on; return the next place. */
static ptrdiff_t lay_columns(packed_columns *columns, ptrdiff_t width, ptrdiff_t at)
{
    columns->width = width;
    columns->n_padded = in_blocks(columns->n_units);
    columns->n_columns =
        units_with_columns(columns->n_units, columns->n_gates) * columns->n_gates;
    columns->n_blocks = ceil_div(columns->n_padded, width);
    columns->columns_at = at;
    columns->bias_at = at + columns->n_columns * columns->per_column;
    return columns->bias_at + columns->n_padded * columns->n_gates;
}

/* Without packing all units are one block. */
static void keep_columns(packed_columns *columns, ptrdiff_t weight, ptrdiff_t bias)
{
    columns->width = columns->n_padded = columns->n_units;
    columns->n_columns = columns->n_units * columns->n_gates;
    columns->n_blocks = 1;
    columns->columns_at = weight;
    columns->bias_at = bias;
}

/* The gates that see an operand, whose weights are those of `seeing`, after `before` others. */
static gates_seeing find_gates(const char *gates, const char *seeing, ptrdiff_t before)
{
    gates_seeing found = {.first = 0, .last = 0};
    for (ptrdiff_t gate = 0; gates[gate]; gate++) {
        const char *place = strchr(seeing, gates[gate]);
        found.rows[gate] = (signed char)(place ? before + (place - seeing) : -1);
        if (place && found.last == 0)
            found.first = gate;
        if (place)
            found.last = gate + 1;
    }
    return found;
}

static ptrdiff_t count(const gates_seeing *seeing) { return seeing->last - seeing->first; }

static gates_seeing either(gates_seeing a, gates_seeing b, ptrdiff_t n_gates)
{
    for (ptrdiff_t gate = 0; gate < n_gates; gate++)
        if (a.rows[gate] < 0)
            a.rows[gate] = b.rows[gate];
    return a;
}

static void describe_layer(layer_plan *layer, int packed, int int8)
{
    const cell_facts *facts = &cell_table[layer->cell];
    const ptrdiff_t n_gates = (ptrdiff_t)strlen(facts->gates);
    const ptrdiff_t n_see_h = (ptrdiff_t)strlen(facts->see_h);
    layer->x = find_gates(facts->gates, facts->see_x, 0);
    layer->h = find_gates(facts->gates, facts->see_h, 0);
    layer->rh = find_gates(facts->gates, facts->see_rh, n_see_h);
    layer->state = either(layer->h, layer->rh, n_gates);
    layer->recurrent = n_see_h > 0;
    layer->resets = facts->see_rh[0] != 0;
    layer->alike = count(&layer->x) == n_gates &&
                   (!layer->recurrent || count(&layer->h) == n_gates);
    layer->n_peepholes = (ptrdiff_t)strlen(facts->see_c);
    layer->has_cell_state = strchr(facts->state, 'c') != NULL;
    layer->columns.packed = packed;
    layer->columns.n_gates = n_gates;
    layer->columns.depth = layer->n_inputs + (layer->recurrent ? layer->n_outputs : 0);
    layer->columns.per_column = layer->columns.depth;
    if (int8) {
        layer->int8_depth = in_quads(layer->n_inputs) +
                            (layer->recurrent ? in_quads(layer->n_outputs) : 0);
        /* Quads, and of both operands a scale and an offset. */
        layer->columns.per_column = layer->int8_depth / 4 + 4;
    }
    layer->projects = layer->n_outputs < layer->columns.n_units;
    layer->projection.packed = packed;
    layer->projection.n_gates = 1;
    layer->projection.n_units = layer->n_outputs;
    layer->projection.depth = layer->projection.per_column = layer->columns.n_units;
}

/* How large any layer is. */
static void measure_layer(network_plan *plan, const layer_plan *layer)
{
    const packed_columns *c = &layer->columns;
    const ptrdiff_t H = c->n_units, R = layer->n_outputs;
    const ptrdiff_t reset = layer->resets ? H : 0, projected = layer->projects ? H : 0;
    const ptrdiff_t n_seeing = count(&layer->h) + count(&layer->rh);
    plan->n_state += layer_n_state(layer);
    plan->widest_units = max_of(plan->widest_units, c->n_padded);
    plan->widest_inputs = max_of(plan->widest_inputs, layer->n_inputs);
    if (layer->projects)
        plan->widest_projection = max_of(plan->widest_projection, layer->h_stride);
    plan->deepest = max_of(plan->deepest, max_of(c->depth + reset, projected));
    plan->most_weights =
        max_of(plan->most_weights, c->per_column * c->n_padded * c->n_gates +
                                       projected * layer->h_stride);
    plan->layers_work += 2.0 * (double)H *
                         (double)(count(&layer->x) * layer->n_inputs + n_seeing * R +
                                  8 * c->n_gates + (layer->projects ? R : 0));
}

/* Places of all that is packed of a layer for forward, from `at` on; return the next place. The
 * projection comes before all that starts at zeros, since a lane's first shard writes its gradients
 * (phases.h). */
static ptrdiff_t lay_layer(layer_plan *layer, ptrdiff_t at)
{
    packed_columns *c = &layer->columns;
    const ptrdiff_t S = in_blocks(c->n_units);
    if (layer->projects) {
        lay_columns(&layer->projection, HEAD_BLOCK, at);
        at = layer->projection.bias_at; /* it has none */
    }
    layer->peephole_at = lay_columns(c, BLOCK_UNITS, at);
    layer->end_at = layer->peephole_at + S * layer->n_peepholes;
    if (layer->normalized) {
        layer->norm_ih_at = layer->end_at;
        layer->norm_hh_at = layer->norm_ih_at + S * c->n_gates;
        layer->norm_c_at = layer->norm_hh_at + S * c->n_gates;
        layer->bias_c_at = layer->norm_c_at + S;
        layer->end_at = layer->bias_c_at + S;
    }
    return layer->end_at;
}

/* Without packing all is where the flat vector has it. */
static void keep_layer(layer_plan *layer)
{
    keep_columns(&layer->columns, layer->weight_ih, layer->bias);
    layer->peephole_at = layer->peephole;
    layer->norm_ih_at = layer->norm_ih;
    layer->norm_hh_at = layer->norm_hh;
    layer->norm_c_at = layer->norm_c;
    layer->bias_c_at = layer->bias_c;
}

void plan_layout(network_plan *plan)
{
    const ptrdiff_t n_layers = plan_n_layers(plan);
    head_plan *head = &plan->head;
    ptrdiff_t at = 0;
    for (ptrdiff_t k = 0; k < n_layers; k++) {
        layer_plan *layer = &plan->layers[k];
        describe_layer(layer, plan->packed, plan->int8 != NULL);
        keep_layer(layer);
        layer->h_stride = layer->n_outputs;
        if (plan->packed) {
            layer->h_stride = in_blocks(layer->n_outputs);
            at = lay_layer(layer, at);
        }
        measure_layer(plan, layer);
    }
    plan->n_layer_gradients = plan->packed ? at : plan_n_layer_parameters(plan);
    head->columns.packed = plan->packed;
    head->columns.n_gates = 1;
    head->columns.n_units = head->n_scores;
    head->columns.depth = head->columns.per_column = head->n_features;
    plan->deepest = max_of(plan->deepest, head->n_features);
    keep_columns(&head->columns, head->weight, head->bias);
    head->thin = plan->packed && head->n_scores <= THIN_SCORES;
    if (head->thin) {
        keep_columns(&head->columns, at, at + head->n_scores * head->n_features);
        at = head->columns.bias_at + head->n_scores;
    }
    else if (plan->packed)
        at = lay_columns(&head->columns, HEAD_BLOCK, at);
    else
        at = plan->n_dense;
    plan->tail = plan->tail_at = head->bias + head->n_scores;
    if (plan->loss == LOSS_crf)
        plan->n_tail = head->n_scores * (head->n_scores + 2);
    else if (plan->pooling == POOL_attention)
        plan->n_tail = head->n_features * (head->n_features + 2);
    if (plan->n_ahead)
        plan->pooling = POOL_ahead;
    if (plan->pooling == POOL_ahead)
        plan->n_pool_state = plan->n_ahead * head->n_features;
    else if (plan->pooling != POOL_last)
        plan->n_pool_state = head->n_features + (plan->pooling == POOL_attention ? 2 : 1);
    plan->n_state += plan->n_pool_state;
    plan->n_gradients = plan->n_columns = at;
    if (plan->packed) {
        plan->tail_at = at;
        plan->n_gradients += plan->n_tail;
    }
    for (ptrdiff_t k = 0; plan->packed && k < n_layers; k++) {
        layer_plan *layer = &plan->layers[k];
        const ptrdiff_t H = layer->columns.n_units;
        layer->rows_h_at = at;
        layer->rows_rh_at = layer->rows_h_at + count(&layer->h) * H * layer->h_stride;
        layer->rows_x_at = layer->rows_rh_at + count(&layer->rh) * H * layer->h_stride;
        layer->rows_m_at = layer->rows_x_at + count(&layer->x) * H * in_blocks(layer->n_inputs);
        at = layer->rows_m_at + (layer->projects ? layer->n_outputs * in_blocks(H) : 0);
    }
    head->rows_at = at;
    if (plan->packed && !head->thin)
        at += head->n_scores * in_blocks(head->n_features);
    plan->n_weights = at;
}
