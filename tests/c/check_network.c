/* Whole networks through the engine, as the bindings call it, but from C and on POSIX threads: no
 * runtime of OpenMP that a sanitizer would have to know. Loss and gradients are held against a
 * naive network in dual numbers; bits must be the same on any number of threads and in teams.
 * Names what is off; exits with 1 if there is anything. */
#include <float.h>
#include <pthread.h>
#include <stddef.h>

#define EXACT double
#include "reference.h"

#include "kernels/real.h"
#include "kernels/simd.h"
#include "network/arena.h"
#include "network/engine.h"
#include "network/losses.h"
#include "network/schedule.h"

/* Sums of some hundred numbers in another order, relative to the largest gradient. */
#if REAL_IS_FLOAT
#define TOLERANCE 2e-5
#define ENGINE engine_float
#else
#define TOLERANCE 1e-11
#define ENGINE engine_double
#endif

enum { MAX_THREADS = 5 };

typedef struct {
    const char *name;
    int cell, relu, n_layers, n_directions;
    ptrdiff_t n_inputs, units[2], projection, n_scores, vocabulary;
    int loss, per_step, wide, sampled, layer_norm;
    int windows; /* of a series, each with a shift and a scale; some targets are missing */
    int64_t n_ahead; /* steps from a window's seam on that have scores; some have fewer */
    double dropout, recurrent_dropout, weight_dropout, embedding_dropout;
    ptrdiff_t n_rows;
    int64_t lengths[24];
    int threads, members; /* at least so many must have taken part, and been a team */
} network_case;

/* -- A network and its batch -- */

typedef struct {
    const network_case *what;
    network_plan plan;
    ptrdiff_t n_parameters, n_steps, n_gradients;
    real *parameters, *values, *targets, *weights, *states;
    double *series, *shift, *scale, *beyond;
    int64_t *tokens, *starts, *batch, *seams;
    int64_t *classes;
    int *slots, *class_slots;
    ptrdiff_t n_classes, n_sampled;
    real *log_shares;
    double total_weight;
} problem;

static real *numbers(ptrdiff_t n, double range)
{
    real *x = allocate((size_t)n * sizeof(real));
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] = (real)random_number(range);
    return x;
}

/* Whether a target is the number of a score. */
static int is_labelled(const network_case *c)
{
    return c->loss == LOSS_softmax || c->loss == LOSS_crf;
}

/* Numbers of a layer's hidden state. */
static ptrdiff_t n_outputs(const network_case *c, int layer)
{
    return c->projection ? c->projection : c->units[layer];
}

/* Layer by layer and direction by direction W, U, bias, peepholes and W_hr, and with layer
 * normalization gains (of a GRU also those that its cell does not have); the head; a CRF's
 * transitions, start and end; the embedding. */
static void lay_out(problem *p)
{
    const network_case *c = p->what;
    const cell_facts *facts = &cell_table[c->cell];
    network_plan *plan = &p->plan;
    ptrdiff_t at = 0, I = c->n_inputs;
    memset(plan, 0, sizeof(*plan));
    for (int k = 0; k < c->n_layers; k++) {
        for (int d = 0; d < c->n_directions; d++) {
            layer_plan *l = &plan->layers[k * c->n_directions + d];
            const ptrdiff_t H = c->units[k], R = n_outputs(c, k);
            l->cell = c->cell;
            l->relu = c->relu;
            l->n_inputs = I;
            l->columns.n_units = H;
            l->n_outputs = R;
            l->weight_ih = at;
            l->weight_hh = at += (ptrdiff_t)strlen(facts->see_x) * H * I;
            l->bias = at += (ptrdiff_t)(strlen(facts->see_h) + strlen(facts->see_rh)) * H * R;
            l->peephole = at += (ptrdiff_t)strlen(facts->gates) * H;
            l->weight_hr = at += (ptrdiff_t)strlen(facts->see_c) * H;
            at += c->projection ? R * H : 0;
            if (!c->layer_norm)
                continue;
            l->normalized = 1;
            l->norm_ih = at;
            l->norm_hh = at += (ptrdiff_t)strlen(facts->see_x) * H;
            l->norm_c = at += (ptrdiff_t)(strlen(facts->see_h) + strlen(facts->see_rh)) * H;
            l->bias_c = at += H;
            at += H;
        }
        I = n_outputs(c, k) * c->n_directions;
    }
    plan->n_layers = c->n_layers;
    plan->n_directions = c->n_directions;
    plan->n_inputs = c->n_inputs;
    plan->head.n_features = I;
    plan->head.n_scores = c->n_scores;
    plan->head.weight = at;
    plan->head.bias = at += c->n_scores * I;
    at += c->n_scores;
    plan->n_dense = at += c->loss == LOSS_crf ? c->n_scores * (c->n_scores + 2) : 0;
    p->n_parameters = at + c->vocabulary * c->n_inputs;
    plan->per_step = c->per_step;
    plan->n_ahead = c->n_ahead;
    plan->vocabulary = c->vocabulary;
    plan->packed = 1;
    plan->loss = c->loss;
    plan_layout(plan);
}

static void fill(problem *p)
{
    const network_case *c = p->what;
    const ptrdiff_t B = c->n_rows, K = c->n_scores, I = c->n_inputs;
    p->starts = allocate((size_t)B * sizeof(int64_t));
    p->batch = allocate((size_t)B * sizeof(int64_t));
    p->n_steps = 0;
    for (ptrdiff_t r = 0; r < B; r++) {
        /* Windows share rows, but where there is a score for each. */
        p->starts[r] = c->windows && !c->per_step ? r : p->n_steps;
        p->batch[r] = B - 1 - r;
        if (p->starts[r] + c->lengths[r] > p->n_steps)
            p->n_steps = p->starts[r] + c->lengths[r];
    }
    const ptrdiff_t n = c->per_step ? p->n_steps : B * plan_n_head_rows(&p->plan);
    const ptrdiff_t per_target = is_labelled(c) ? 1 : K;
    /* Small where h has no bound, and a network of many units would magnify rounding. */
    p->parameters = numbers(p->n_parameters, c->relu || c->projection ? 0.2 : 0.4);
    p->values = numbers(p->n_steps * I, 1);
    p->series = allocate((size_t)(p->n_steps * I) * sizeof(double));
    p->shift = allocate((size_t)(B * I) * sizeof(double));
    p->scale = allocate((size_t)(B * I) * sizeof(double));
    for (ptrdiff_t j = 0; j < p->n_steps * I; j++)
        p->series[j] = 1e9 + random_number(1); /* float would lose all digits that differ */
    for (ptrdiff_t j = 0; j < B * I; j++) {
        p->shift[j] = 1e9 + random_number(1);
        p->scale[j] = random_number(1);
    }
    p->beyond = allocate((size_t)I * sizeof(double));
    for (ptrdiff_t j = 0; j < I; j++)
        p->beyond[j] = j % 3 == 1 ? (double)NAN : random_number(1);
    p->seams = allocate((size_t)B * sizeof(int64_t));
    for (ptrdiff_t r = 0; r < B; r++)
        p->seams[r] = c->lengths[r] - min_of(c->lengths[r], 1 + r % (c->n_ahead + 1));
    p->tokens = allocate((size_t)p->n_steps * sizeof(int64_t));
    p->slots = allocate((size_t)(c->vocabulary + 1) * sizeof(int));
    for (ptrdiff_t step = 0; c->vocabulary && step < p->n_steps; step++)
        p->tokens[step] = (int64_t)(random_bits() % (uint64_t)c->vocabulary);
    for (ptrdiff_t token = 0; token < c->vocabulary; token++)
        p->slots[token] = (int)token; /* as if all were in the batch */
    p->n_gradients = p->n_parameters;
    p->targets = numbers(n * per_target, 1);
    p->weights = numbers(n, 1);
    p->total_weight = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        if (is_labelled(c))
            p->targets[j] = (real)(random_bits() % (uint64_t)K);
        p->weights[j] = p->weights[j] * p->weights[j];
        for (ptrdiff_t k = 0; c->windows && k < K; k++)
            if (j % 4 == 0 || (j + k) % 3 == 0)
                p->targets[j * K + k] = (real)NAN;
    }
    for (ptrdiff_t r = 0; c->loss == LOSS_crf && r < B; r++) /* one for each sequence */
        for (int64_t t = 1; t < c->lengths[r]; t++)
            p->weights[p->starts[r] + t] = p->weights[p->starts[r]];
    for (ptrdiff_t j = 0; j < n; j++)
        p->total_weight += p->weights[j];
    p->states = numbers(B * p->plan.n_state, 1);
    p->classes = allocate((size_t)K * sizeof(int64_t));
    p->class_slots = allocate((size_t)K * sizeof(int));
    p->log_shares = allocate((size_t)K * sizeof(real));
    p->n_classes = p->n_sampled = 0;
    for (int targets_only = 0; c->sampled && targets_only < 2; targets_only++) {
        for (ptrdiff_t k = 0; k < K; k++) { /* two of three, then the targets among the others */
            int wanted = !targets_only && k % 3 > 0;
            for (ptrdiff_t j = 0; targets_only && k % 3 == 0 && j < n; j++)
                wanted |= p->targets[j] == (real)k;
            if (!wanted)
                continue;
            p->class_slots[k] = (int)p->n_classes;
            p->log_shares[p->n_classes] = (real)log(2.0 / 3);
            p->classes[p->n_classes++] = k;
        }
        if (!targets_only)
            p->n_sampled = p->n_classes;
    }
}

static void release(problem *p)
{
    free(p->parameters), free(p->values), free(p->targets), free(p->weights), free(p->states);
    free(p->tokens), free(p->starts), free(p->batch), free(p->classes), free(p->slots);
    free(p->class_slots), free(p->log_shares), free(p->series), free(p->shift), free(p->scale);
    free(p->beyond), free(p->seams);
}

/* -- The engine on threads -- */

/* Threads that go through the phases of a call together. */
typedef struct {
    const network_plan *plan;
    const task *task;
    pthread_barrier_t *barrier;
    ptrdiff_t *next; /* (n_phases,) the piece that is next */
    int thread;
} crew_member;

static void *go_through_phases(void *argument)
{
    const crew_member *m = argument;
    const task *t = m->task;
    for (int k = 0; k < ENGINE.n_phases; k++) {
        const phase *phase = &ENGINE.phases[k];
        const ptrdiff_t n = phase->count(m->plan, t);
        ptrdiff_t piece;
        if (n == 0)
            continue;
        if (t->n_members > 1 && phase->team_work)
            phase->team_work(m->plan, t, m->thread, t->n_threads);
        else
            while ((piece = __atomic_fetch_add(&m->next[k], 1, __ATOMIC_RELAXED)) < n)
                phase->work(m->plan, t, piece, m->thread);
        pthread_barrier_wait(m->barrier);
    }
    return NULL;
}

static void run_phases(const network_plan *plan, const task *t)
{
    pthread_t threads[MAX_THREADS];
    crew_member members[MAX_THREADS];
    pthread_barrier_t barrier;
    ptrdiff_t *next = allocate((size_t)ENGINE.n_phases * sizeof(ptrdiff_t));
    pthread_barrier_init(&barrier, NULL, (unsigned)t->n_threads);
    for (int k = 0; k < t->n_threads; k++) {
        members[k] = (crew_member){plan, t, &barrier, next, k};
        if (pthread_create(&threads[k], NULL, go_through_phases, &members[k])) {
            fprintf(stderr, "no thread\n");
            exit(2);
        }
    }
    for (int k = 0; k < t->n_threads; k++)
        pthread_join(threads[k], NULL);
    pthread_barrier_destroy(&barrier);
    free(next);
}

/* Some bytes that start on a cache line, as the bindings reserve them. */
static char *reserve(ptrdiff_t n_bytes)
{
    const size_t in_lines = ((size_t)n_bytes / CACHE_LINE + 1) * CACHE_LINE;
    char *memory = aligned_alloc(CACHE_LINE, in_lines);
    if (!memory)
        exit(2);
    memset(memory, 0x7f, (size_t)n_bytes); /* no number that anybody expects */
    arena_limit(memory, n_bytes, n_bytes);
    return memory;
}

static void give_back(char *memory, ptrdiff_t n_bytes)
{
    arena_limit(memory, n_bytes, n_bytes);
    free(memory);
}

static task new_task(const problem *p)
{
    task t;
    memset(&t, 0, sizeof(t));
    t.parameters = p->parameters;
    t.values = p->values;
    if (p->what->windows) {
        t.values = p->series;
        t.shift = p->shift;
        t.scale = p->scale;
    }
    if (p->what->n_ahead) {
        t.seams = p->seams;
        t.beyond = p->beyond;
    }
    t.tokens = p->tokens;
    t.starts = p->starts;
    t.lengths = p->what->lengths;
    t.batch = p->batch;
    t.n_rows = p->what->n_rows;
    t.state_in = p->states;
    t.dropout = p->what->dropout;
    t.recurrent_dropout = p->what->recurrent_dropout;
    t.weight_dropout = p->what->weight_dropout;
    t.embedding_dropout = p->what->embedding_dropout;
    t.seed = 5;
    t.item = sizeof(real);
    return t;
}

static void widen_head(const problem *p, task *t, wide_head *wide)
{
    if (!p->what->sampled) {
        schedule_classes(&p->plan, t, wide, NULL, p->plan.head.n_scores);
        return;
    }
    schedule_classes(&p->plan, t, wide, p->classes, p->n_classes);
    wide->slots = p->class_slots;
    wide->n_sampled = p->n_sampled;
    wide->log_shares = p->log_shares;
}

static int most_threads, most_members; /* of the calls of a case */

/* Schedule, reserve, run; return the loss. */
static double run(const problem *p, task *t, int n_threads)
{
    const network_plan *plan = &p->plan;
    const ptrdiff_t n_schedule = schedule_bytes(plan, t, n_threads);
    char *schedule = reserve(n_schedule), *head = NULL;
    ptrdiff_t n_head = 0;
    double loss = 0;
    schedule_batch(plan, t, schedule, n_threads, MAX_THREADS);
    most_threads = t->n_threads > most_threads ? t->n_threads : most_threads;
    most_members = t->n_members > most_members ? (int)t->n_members : most_members;
    if (t->wide) {
        n_head = schedule_wide_head(plan, t, NULL);
        head = reserve(n_head);
        schedule_wide_head(plan, t, head);
    }
    t->worker_bytes = ENGINE.worker_bytes(plan, t);
    t->lane_bytes = ENGINE.lane_bytes(plan, t);
    const ptrdiff_t of_workers = schedule_n_workers(t) * t->worker_bytes;
    const ptrdiff_t n_threads_bytes = of_workers + t->n_lanes * t->lane_bytes;
    const ptrdiff_t n_weights =
        (t->training ? plan->n_weights : plan->n_columns) * (ptrdiff_t)sizeof(real);
    t->workers = reserve(n_threads_bytes);
    t->lanes = t->workers + of_workers;
    t->packed_weights = reserve(n_weights);
    const ptrdiff_t n_dropped = plan_n_layer_parameters(plan) * (ptrdiff_t)sizeof(real);
    if (t->weight_dropout > 0)
        t->dropped_parameters = reserve(n_dropped);
    run_phases(plan, t);
    for (ptrdiff_t lane = 0; !t->wide && lane < t->n_lanes; lane++)
        loss += t->losses[lane];
    for (ptrdiff_t step = 0; t->wide && step < t->wide->n_steps; step++)
        loss += t->wide->losses[step];
    give_back(schedule, n_schedule);
    give_back(t->workers, n_threads_bytes);
    give_back(t->packed_weights, n_weights);
    if (head)
        give_back(head, n_head);
    if (t->dropped_parameters)
        give_back(t->dropped_parameters, n_dropped);
    return loss;
}

static double train(const problem *p, real *gradients, int n_threads)
{
    task t = new_task(p);
    wide_head wide;
    t.training = 1;
    t.targets = p->targets;
    t.n_targets = is_labelled(p->what) ? 1 : p->what->n_scores;
    t.weights = p->weights;
    t.weight_scale = 1 / p->total_weight;
    t.gradients = gradients;
    t.slots = p->slots;
    t.n_touched = p->what->vocabulary;
    memset(gradients, 0, (size_t)p->n_gradients * sizeof(real));
    if (p->what->wide)
        widen_head(p, &t, &wide);
    return run(p, &t, n_threads);
}

static void predict(const problem *p, real *scores, int n_threads)
{
    task t = new_task(p);
    t.scores = scores;
    run(p, &t, n_threads);
}

/* -- The naive network -- */

typedef struct {
    const problem *p;
    exact *direction;    /* (P,) of the derivatives */
    dual *steps[2];      /* inputs and outputs of a layer, at every step of a sequence */
    exact *scores;       /* of what is scored, in the order of the engine's */
} naive;

static dual parameter(const naive *n, ptrdiff_t at)
{
    return (dual){n->p->parameters[at], n->direction[at]};
}

/* Weighted sum of a row of weights with x, added to `sum`. */
static dual add_product(const naive *n, dual sum, ptrdiff_t weights, ptrdiff_t width, const dual *x)
{
    for (ptrdiff_t j = 0; j < width; j++)
        sum = plus(sum, times(parameter(n, weights + j), x[j]));
    return sum;
}

static ptrdiff_t place_of(const char *letters, char letter)
{
    const char *found = strchr(letters, letter);
    return found ? found - letters : -1;
}

/* gain LN(a) of n numbers, where the layer is normalized. */
static void naive_normalize(
    const naive *n, const layer_plan *l, ptrdiff_t n_numbers, ptrdiff_t gains, dual *a)
{
    const dual share = number(1 / (exact)n_numbers);
    dual mean = number(0), variance = number(1e-5);
    if (!l->normalized || n_numbers == 0)
        return;
    for (ptrdiff_t j = 0; j < n_numbers; j++)
        mean = plus(mean, times(share, a[j]));
    for (ptrdiff_t j = 0; j < n_numbers; j++) {
        a[j] = minus(a[j], mean);
        variance = plus(variance, times(share, times(a[j], a[j])));
    }
    for (ptrdiff_t j = 0; j < n_numbers; j++)
        a[j] = times(parameter(n, gains + j), times(a[j], inverse_root(variance)));
}

/* out = weights x, normalized: n_rows rows of `width` numbers. */
static void naive_product(
    const naive *n, const layer_plan *l, ptrdiff_t n_rows, ptrdiff_t weights, ptrdiff_t width,
    ptrdiff_t gains, const dual *x, dual *out)
{
    for (ptrdiff_t j = 0; j < n_rows; j++)
        out[j] = add_product(n, number(0), weights + j * width, width, x);
    naive_normalize(n, l, n_rows, gains, out);
}

/* What gate g gets from an operand. */
static dual of_gate(const char *seeing, char gate, ptrdiff_t H, const dual *product, ptrdiff_t j)
{
    const ptrdiff_t place = place_of(seeing, gate);
    return place < 0 ? number(0) : product[place * H + j];
}

/* One layer in one direction over a sequence; out gets R numbers of every step, `apart` apart. */
static void naive_layer(
    const naive *n, const layer_plan *l, int backwards, const real *state, ptrdiff_t T,
    const dual *x, dual *out, ptrdiff_t apart)
{
    const cell_facts *facts = &cell_table[l->cell];
    const ptrdiff_t H = l->columns.n_units, R = l->n_outputs, I = l->n_inputs;
    const ptrdiff_t n_x = (ptrdiff_t)strlen(facts->see_x) * H;
    const ptrdiff_t n_h = (ptrdiff_t)strlen(facts->see_h) * H;
    const ptrdiff_t n_rh = (ptrdiff_t)strlen(facts->see_rh) * H;
    const int has_c = facts->state[1] != 0;
    dual *h = allocate((size_t)H * sizeof(dual)), *c = allocate((size_t)H * sizeof(dual));
    dual *m = allocate((size_t)H * sizeof(dual)), *rh = allocate((size_t)H * sizeof(dual));
    dual *of_x = allocate((size_t)n_x * sizeof(dual)), *of_h = allocate((size_t)n_h * sizeof(dual));
    dual *of_rh = allocate((size_t)n_rh * sizeof(dual)), *chat = allocate((size_t)H * sizeof(dual));
    dual *o = allocate((size_t)H * sizeof(dual));
    for (ptrdiff_t j = 0; j < R; j++)
        h[j] = number(state[j]);
    for (ptrdiff_t j = 0; j < H; j++)
        c[j] = number(has_c ? state[R + j] : state[j]);
    for (ptrdiff_t step = 0; step < T; step++) {
        const ptrdiff_t t = backwards ? T - 1 - step : step;
        naive_product(n, l, n_x, l->weight_ih, I, l->norm_ih, x + t * I, of_x);
        naive_product(n, l, n_h, l->weight_hh, R, l->norm_hh, h, of_h);
        for (ptrdiff_t j = 0; n_rh > 0 && j < H; j++) /* r is the first gate */
            rh[j] = times(logistic_of(plus(parameter(n, l->bias + j), plus(of_x[j], of_h[j]))),
                          h[j]);
        naive_product(n, l, n_rh, l->weight_hh + n_h * R, R, l->norm_hh + n_h, rh, of_rh);
        for (ptrdiff_t j = 0; j < H; j++) {
            dual z[MAX_GATES], peepholes[MAX_PEEPHOLES];
            const size_t n_gates = strlen(facts->gates);
            for (size_t g = 0; g < n_gates; g++) {
                const char gate = facts->gates[g];
                z[g] = plus(parameter(n, l->bias + (ptrdiff_t)g * H + j),
                            of_gate(facts->see_x, gate, H, of_x, j));
                z[g] = plus(z[g], of_gate(facts->see_h, gate, H, of_h, j));
                z[g] = plus(z[g], of_gate(facts->see_rh, gate, H, of_rh, j));
            }
            for (int k = 0; facts->see_c[k]; k++)
                peepholes[k] = parameter(n, l->peephole + k * H + j);
            const cell_step s = reference_cell(l->cell, l->relu, z, peepholes, c[j]);
            c[j] = chat[j] = s.c;
            m[j] = s.h;
            o[j] = s.gates[n_gates - 1];
        }
        if (has_c)
            naive_normalize(n, l, H, l->norm_c, chat);
        for (ptrdiff_t j = 0; l->normalized && has_c && j < H; j++)
            m[j] = times(o[j], phi_of(plus(chat[j], parameter(n, l->bias_c + j)), l->relu));
        for (ptrdiff_t j = 0; j < R; j++)
            out[t * apart + j] = h[j] =
                R < H ? add_product(n, number(0), l->weight_hr + j * H, H, m) : m[j];
    }
    free(h), free(c), free(m), free(rh), free(o), free(of_x), free(of_h), free(of_rh), free(chat);
}

static dual dual_log(dual x) { return (dual){log(x.v), x.d / x.v}; }
static dual dual_exp(dual x) { return (dual){exp(x.v), exp(x.v) * x.d}; }

static dual naive_score(const naive *n, const dual *features, ptrdiff_t k)
{
    const head_plan *head = &n->p->plan.head;
    const ptrdiff_t D = head->n_features;
    return add_product(n, parameter(n, head->bias + k), head->weight + k * D, D, features);
}

/* The loss of a CRF on a sequence by the forward algorithm. */
static dual naive_chain_loss(
    const naive *n, ptrdiff_t T, const dual *features, const real *labels, exact *scores)
{
    const head_plan *head = &n->p->plan.head;
    const ptrdiff_t K = head->n_scores, D = head->n_features;
    const ptrdiff_t transitions = head->bias + K, start = transitions + K * K, end = start + K;
    dual *sums = allocate((size_t)K * sizeof(dual)), *next = allocate((size_t)K * sizeof(dual));
    dual path = number(0), total = number(0);
    for (ptrdiff_t t = 0; t < T; t++) {
        for (ptrdiff_t k = 0; k < K; k++) {
            const dual score = naive_score(n, features + t * D, k);
            scores[t * K + k] = score.v;
            next[k] = t == 0 ? dual_exp(parameter(n, start + k)) : number(0);
            for (ptrdiff_t j = 0; t > 0 && j < K; j++)
                next[k] = plus(next[k], times(sums[j], dual_exp(parameter(
                                                           n, transitions + j * K + k))));
            next[k] = times(next[k], dual_exp(score));
            if (labels[t] == (real)k)
                path = plus(path, score);
        }
        memcpy(sums, next, (size_t)K * sizeof(dual));
        path = plus(path, parameter(n, t == 0 ? start + (ptrdiff_t)labels[0]
                                              : transitions + (ptrdiff_t)labels[t - 1] * K +
                                                    (ptrdiff_t)labels[t]));
    }
    path = plus(path, parameter(n, end + (ptrdiff_t)labels[T - 1]));
    for (ptrdiff_t k = 0; k < K; k++)
        total = plus(total, times(sums[k], dual_exp(parameter(n, end + k))));
    free(sums), free(next);
    return minus(dual_log(total), path);
}

/* Number j of the inputs of a sequence that starts at this row. */
static exact naive_input(const problem *p, int64_t sequence, int64_t start, ptrdiff_t j)
{
    const ptrdiff_t I = p->what->n_inputs;
    if (!p->what->windows)
        return p->values[start * I + j];
    if (p->what->n_ahead && j / I >= p->seams[sequence] && !isnan(p->beyond[j % I]))
        return (real)p->beyond[j % I];
    /* Rounded once to the precision of the network. */
    return (real)((p->series[start * I + j] - p->shift[sequence * I + j % I]) *
                  p->scale[sequence * I + j % I]);
}

/* The loss of features, whose scores are written down. */
static dual naive_loss(const naive *n, const dual *features, const real *targets, exact *scores)
{
    const problem *p = n->p;
    const ptrdiff_t K = p->plan.head.n_scores;
    dual total = number(0), at_target = number(0);
    for (ptrdiff_t k = 0; k < K; k++) {
        const dual score = naive_score(n, features, k);
        scores[k] = score.v;
        if (p->what->loss == LOSS_softmax) {
            total = plus(total, dual_exp(score));
            if (targets[0] == (real)k)
                at_target = score;
        }
        else if (!isnan(targets[k])) {
            const dual r = minus(score, number(targets[k]));
            total = plus(total, times(number(0.5 / (double)K), times(r, r)));
        }
    }
    return p->what->loss == LOSS_softmax ? minus(dual_log(total), at_target) : total;
}

/* The mean loss of the steps ahead of a sequence. Where it has no more, the head reads what the
 * state has there. */
static dual naive_loss_ahead(
    const naive *n, ptrdiff_t r, int64_t sequence, const dual *out, const real *state)
{
    const problem *p = n->p;
    const ptrdiff_t D = p->plan.head.n_features, K = p->plan.head.n_scores;
    const ptrdiff_t n_ahead = p->plan.n_ahead;
    dual *features = allocate((size_t)D * sizeof(dual)), loss = number(0);
    for (ptrdiff_t k = 0; k < n_ahead; k++) {
        const int64_t t = p->seams[sequence] + k;
        for (ptrdiff_t j = 0; j < D; j++)
            features[j] =
                t < p->what->lengths[sequence] ? out[t * D + j] : number(state[k * D + j]);
        const dual one = naive_loss(n, features, p->targets + (sequence * n_ahead + k) * K,
                                    n->scores + (r * n_ahead + k) * K);
        loss = plus(loss, times(number(1 / (double)n_ahead), one));
    }
    free(features);
    return loss;
}

/* Weighted mean loss of the batch and its derivative by one parameter. */
static dual naive_network(naive *n)
{
    const problem *p = n->p;
    const network_case *c = p->what;
    const ptrdiff_t D = p->plan.head.n_features, K = c->n_scores;
    const ptrdiff_t per_target = is_labelled(c) ? 1 : K;
    dual loss = number(0);
    for (ptrdiff_t r = 0; r < c->n_rows; r++) { /* place in the batch */
        const int64_t sequence = p->batch[r], T = c->lengths[sequence];
        const int64_t start = p->starts[sequence];
        const real *state = p->states + r * p->plan.n_state;
        for (ptrdiff_t j = 0; j < T * c->n_inputs; j++)
            n->steps[0][j] =
                c->vocabulary ? parameter(n, p->plan.n_dense +
                                                 p->tokens[start + j / c->n_inputs] *
                                                     c->n_inputs + j % c->n_inputs)
                              : number(naive_input(p, sequence, start, j));
        for (int k = 0; k < c->n_layers; k++)
            for (int d = 0; d < c->n_directions; d++) {
                const layer_plan *l = &p->plan.layers[k * c->n_directions + d];
                naive_layer(n, l, d, state, T, n->steps[k % 2],
                            n->steps[(k + 1) % 2] + d * l->n_outputs,
                            l->n_outputs * c->n_directions);
                state += layer_n_state(l);
            }
        dual *out = n->steps[c->n_layers % 2];
        if (c->loss == LOSS_crf) {
            const dual one =
                naive_chain_loss(n, T, out, p->targets + start, n->scores + start * K);
            loss = plus(loss, times(number(p->weights[start] / p->total_weight), one));
            continue;
        }
        if (c->n_ahead) {
            const dual one = naive_loss_ahead(n, r, sequence, out, state);
            loss = plus(loss, times(number(p->weights[sequence] / p->total_weight), one));
            continue;
        }
        for (ptrdiff_t t = c->per_step ? 0 : T - 1; t < T; t++) {
            const ptrdiff_t at = c->per_step ? start + t : sequence;
            const ptrdiff_t place = c->per_step ? start + t : r;
            /* The second direction ends at the first step. */
            for (ptrdiff_t j = D / 2; !c->per_step && c->n_directions == 2 && j < D; j++)
                out[t * D + j] = out[j];
            const dual one = naive_loss(n, out + t * D, p->targets + at * per_target,
                                        n->scores + place * K);
            loss = plus(loss, times(number(p->weights[at] / p->total_weight), one));
        }
    }
    return loss;
}

/* -- Checks -- */

static int n_off;

static void expect(int good, const problem *p, const char *what)
{
    if (!good) {
        printf("OFF: %s of %s\n", what, p->what->name);
        n_off++;
    }
}

/* Derivatives by each parameter of a small network; of a large one in random directions, in each of
 * which a part of the parameters moves. */
static int gradients_are_good(naive *n, const real *gradients)
{
    const ptrdiff_t P = n->p->n_parameters, n_moving = P <= 400 ? 1 : P / 8 + 1;
    double largest = 0;
    int good = 1;
    for (ptrdiff_t k = 0; k < P; k++)
        largest = fabs((double)gradients[k]) > largest ? fabs((double)gradients[k]) : largest;
    for (ptrdiff_t first = 0; first < P; first += n_moving) {
        double slope = 0, squares = 0;
        memset(n->direction, 0, (size_t)P * sizeof(exact));
        for (ptrdiff_t k = first; k < P && k < first + n_moving; k++) {
            n->direction[k] = n_moving == 1 ? 1 : random_number(2);
            slope += n->direction[k] * gradients[k];
            squares += (double)gradients[k] * gradients[k];
        }
        good &= fabs(naive_network(n).d - slope) <= TOLERANCE * (largest + 2 * sqrt(squares));
    }
    return good && largest > 0;
}

static void check_against_naive(const problem *p, const real *gradients, double loss)
{
    const network_case *c = p->what;
    const ptrdiff_t widest = 200, K = c->n_scores;
    const ptrdiff_t n_scored =
        c->per_step ? p->n_steps : c->n_rows * plan_n_head_rows(&p->plan);
    real *scores = allocate((size_t)(n_scored * K) * sizeof(real));
    naive n;
    int good = 1;
    n.p = p;
    n.direction = allocate((size_t)p->n_parameters * sizeof(exact));
    n.scores = allocate((size_t)(n_scored * K) * sizeof(exact));
    n.steps[0] = allocate((size_t)(p->n_steps * widest) * sizeof(dual));
    n.steps[1] = allocate((size_t)(p->n_steps * widest) * sizeof(dual));
    predict(p, scores, 2);
    expect(fabs(naive_network(&n).v - loss) <= TOLERANCE * (1 + fabs(loss)), p, "loss");
    for (ptrdiff_t j = 0; j < n_scored * K; j++)
        good &= fabs(scores[j] - n.scores[j]) <= TOLERANCE * (1 + fabs(n.scores[j]));
    expect(good, p, "scores");
    expect(gradients_are_good(&n, gradients), p, "gradients");
    free(scores), free(n.scores), free(n.direction), free(n.steps[0]), free(n.steps[1]);
}

/* A stream goes through one step at a time, to the bits of a prediction. */
static void check_stream(const problem *p)
{
    const network_case *c = p->what;
    const network_plan *plan = &p->plan;
    const ptrdiff_t B = c->n_rows, K = c->n_scores;
    real *expected = allocate((size_t)(p->n_steps * K) * sizeof(real));
    real *scores = allocate((size_t)(B * K) * sizeof(real));
    int64_t *rows = allocate((size_t)B * sizeof(int64_t));
    int64_t *ones = allocate((size_t)B * sizeof(int64_t));
    int64_t *tokens = allocate((size_t)B * sizeof(int64_t));
    real *inputs = allocate((size_t)(B * c->n_inputs) * sizeof(real));
    task t = new_task(p);
    int good = 1;
    for (ptrdiff_t r = 0; r < B; r++)
        rows[r] = r, ones[r] = 1;
    t.starts = t.batch = rows;
    t.lengths = ones;
    t.values = inputs;
    t.tokens = tokens;
    t.scores = scores;
    const ptrdiff_t n_schedule = schedule_bytes(plan, &t, 1);
    char *schedule = reserve(n_schedule), *live = reserve(ENGINE.stream_bytes);
    schedule_stream(plan, &t, schedule);
    t.worker_bytes = ENGINE.worker_bytes(plan, &t);
    t.workers = reserve(t.worker_bytes);
    t.packed_weights = reserve(plan->n_columns * (ptrdiff_t)sizeof(real));
    ENGINE.stream_open(live, plan, &t);
    ENGINE.stream_load(live);
    predict(p, expected, 1);
    for (int64_t step = 0; step < c->lengths[0]; step++) { /* all are as long */
        for (ptrdiff_t r = 0; r < B; r++) {
            const int64_t at = p->starts[p->batch[r]] + step;
            memcpy(inputs + r * c->n_inputs, p->values + at * c->n_inputs,
                   (size_t)c->n_inputs * sizeof(real));
            tokens[r] = p->tokens[at];
        }
        ENGINE.stream_step(live);
        for (ptrdiff_t r = 0; r < B; r++)
            good &= !memcmp(scores + r * K, expected + (p->starts[p->batch[r]] + step) * K,
                            (size_t)K * sizeof(real));
    }
    expect(good, p, "stream");
    give_back(schedule, n_schedule), give_back(live, ENGINE.stream_bytes);
    give_back(t.workers, t.worker_bytes);
    give_back(t.packed_weights, plan->n_columns * (ptrdiff_t)sizeof(real));
    free(expected), free(scores), free(rows), free(ones), free(tokens), free(inputs);
}

static void check(const network_case *c, int level)
{
    problem p = {.what = c};
    most_threads = most_members = 0;
    lay_out(&p);
    p.plan.kernels = simd_kernels(level, sizeof(real))->kernels;
    fill(&p);
    real *gradients = allocate((size_t)p.n_gradients * sizeof(real));
    real *again = allocate((size_t)p.n_gradients * sizeof(real));
    const double loss = train(&p, gradients, 1);
    for (int n_threads = 2; n_threads <= MAX_THREADS; n_threads++) {
        const double same = train(&p, again, n_threads);
        expect(same == loss && !memcmp(gradients, again, (size_t)p.n_gradients * sizeof(real)),
               &p, "bits on several threads");
    }
    expect(most_threads >= c->threads && most_members >= c->members, &p, "threads");
    if (!c->sampled && c->dropout == 0 && c->recurrent_dropout == 0)
        check_against_naive(&p, gradients, loss);
    if (c->per_step && c->n_directions == 1 && c->dropout == 0 && c->recurrent_dropout == 0 &&
        !c->windows && c->lengths[0] == c->lengths[c->n_rows - 1])
        check_stream(&p);
    printf("%s, %s: %s, up to %d threads in teams of %d\n", simd_names[level],
           sizeof(real) == sizeof(float) ? "float" : "double", c->name, most_threads,
           most_members);
    free(gradients), free(again);
    release(&p);
}

#define RAGGED {5, 9, 1, 4, 9, 2, 7, 3, 3, 8, 1, 6, 5, 4, 9, 2, 1, 1, 5, 6, 7, 8, 2, 3}
#define LONG {40, 40, 40}

static const network_case cases[] = {
    {.name = "lstm", .cell = CELL_lstm, .n_layers = 1, .n_directions = 1, .n_inputs = 3,
     .units = {5}, .n_scores = 2, .loss = LOSS_squared_error, .n_rows = 3, .lengths = {4, 6, 2}},
    {.name = "peephole, relu", .cell = CELL_peephole, .relu = 1, .n_layers = 2,
     .n_directions = 1, .n_inputs = 3, .units = {5, 4}, .n_scores = 3, .loss = LOSS_softmax,
     .per_step = 1, .n_rows = 3, .lengths = {4, 1, 5}},
    {.name = "coupled, lanes", .cell = CELL_coupled, .n_layers = 2, .n_directions = 1,
     .n_inputs = 7, .units = {33, 20}, .n_scores = 2, .loss = LOSS_squared_error,
     .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "peephole_lagged, two directions, tokens", .cell = CELL_peephole_lagged,
     .n_layers = 2, .n_directions = 2, .n_inputs = 6, .units = {19, 16}, .n_scores = 4,
     .vocabulary = 9, .loss = LOSS_softmax, .per_step = 1, .n_rows = 20, .lengths = RAGGED,
     .threads = 2},
    {.name = "input_gated, two directions", .cell = CELL_input_gated, .n_layers = 2,
     .n_directions = 2, .n_inputs = 6, .units = {17, 11}, .n_scores = 4,
     .loss = LOSS_squared_error, .n_rows = 20, .lengths = RAGGED},
    {.name = "gru, two directions, lanes", .cell = CELL_gru, .n_layers = 2, .n_directions = 2,
     .n_inputs = 7, .units = {33, 20}, .n_scores = 2, .loss = LOSS_squared_error, .dropout = 0.2,
     .recurrent_dropout = 0.3, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "gru_v1, two directions, lanes", .cell = CELL_gru_v1, .n_layers = 2,
     .n_directions = 2, .n_inputs = 7, .units = {33, 20}, .n_scores = 2,
     .loss = LOSS_squared_error, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "gru, teams, tokens", .cell = CELL_gru, .relu = 1, .n_layers = 1, .n_directions = 1,
     .n_inputs = 9, .units = {100}, .n_scores = 3, .vocabulary = 9, .loss = LOSS_softmax,
     .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 4, .members = 4},
    {.name = "gru_v1, teams", .cell = CELL_gru_v1, .n_layers = 2, .n_directions = 1,
     .n_inputs = 9, .units = {100, 70}, .n_scores = 3, .loss = LOSS_squared_error,
     .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 4, .members = 4},
    {.name = "teams", .cell = CELL_lstm, .n_layers = 2, .n_directions = 1, .n_inputs = 9,
     .units = {100, 70}, .n_scores = 3, .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3,
     .lengths = LONG, .threads = 5, .members = 5},
    {.name = "teams, two directions", .cell = CELL_peephole, .n_layers = 1, .n_directions = 2,
     .n_inputs = 9, .units = {96}, .n_scores = 3, .loss = LOSS_squared_error, .n_rows = 2,
     .lengths = LONG, .threads = 2, .members = 2},
    {.name = "windows, two directions, lanes", .cell = CELL_lstm, .windows = 1, .n_layers = 2,
     .n_directions = 2, .n_inputs = 7, .units = {33, 20}, .n_scores = 3,
     .loss = LOSS_squared_error, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "windows, teams", .cell = CELL_lstm, .windows = 1, .n_layers = 2,
     .n_directions = 1, .n_inputs = 9, .units = {100, 70}, .n_scores = 3,
     .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 5,
     .members = 5},
    {.name = "more steps ahead than steps", .cell = CELL_lstm, .windows = 1, .n_ahead = 9,
     .n_layers = 1, .n_directions = 1, .n_inputs = 3, .units = {33}, .n_scores = 3,
     .loss = LOSS_squared_error, .n_rows = 8, .lengths = {2, 1, 2, 2, 3, 2, 1, 2}, .threads = 1},
    {.name = "steps ahead, two directions, lanes", .cell = CELL_lstm, .windows = 1, .n_ahead = 3,
     .n_layers = 2, .n_directions = 2, .n_inputs = 7, .units = {33, 20}, .n_scores = 3,
     .loss = LOSS_squared_error, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "steps ahead, teams", .cell = CELL_gru, .windows = 1, .n_ahead = 3, .n_layers = 2,
     .n_directions = 1, .n_inputs = 9, .units = {100, 70}, .n_scores = 2,
     .loss = LOSS_squared_error, .n_rows = 3, .lengths = LONG, .threads = 4, .members = 4},
    {.name = "steps ahead, dropout, lanes", .cell = CELL_lstm, .windows = 1, .n_ahead = 4,
     .n_layers = 2, .n_directions = 1, .n_inputs = 7, .units = {33, 20}, .n_scores = 1,
     .loss = LOSS_squared_error, .dropout = 0.2, .recurrent_dropout = 0.3, .n_rows = 24,
     .lengths = RAGGED, .threads = 2},
    {.name = "projection, peephole, two directions, tokens, lanes", .cell = CELL_peephole,
     .n_layers = 2, .n_directions = 2, .n_inputs = 6, .units = {37, 19}, .projection = 17,
     .n_scores = 4, .vocabulary = 9, .loss = LOSS_softmax, .per_step = 1, .n_rows = 24,
     .lengths = RAGGED, .threads = 2},
    {.name = "projection, coupled, dropout, lanes", .cell = CELL_coupled, .n_layers = 2,
     .n_directions = 1, .n_inputs = 7, .units = {33, 20}, .projection = 5, .n_scores = 2,
     .loss = LOSS_squared_error, .dropout = 0.2, .recurrent_dropout = 0.3, .weight_dropout = 0.4,
     .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "projection, teams", .cell = CELL_lstm, .n_layers = 2, .n_directions = 1,
     .n_inputs = 9, .units = {100, 90}, .projection = 70, .n_scores = 3,
     .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 5,
     .members = 5},
    {.name = "normalized projection, two directions, teams", .cell = CELL_lstm, .layer_norm = 1,
     .n_layers = 2, .n_directions = 2, .n_inputs = 9, .units = {100, 90}, .projection = 70,
     .n_scores = 3, .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3, .lengths = LONG,
     .threads = 3, .members = 3},
    {.name = "normalized peephole, two directions, tokens", .cell = CELL_peephole, .layer_norm = 1,
     .n_layers = 2, .n_directions = 2, .n_inputs = 6, .units = {19, 16}, .n_scores = 4,
     .vocabulary = 9, .loss = LOSS_softmax, .per_step = 1, .n_rows = 20, .lengths = RAGGED,
     .threads = 2},
    {.name = "normalized gru, lanes", .cell = CELL_gru, .layer_norm = 1, .n_layers = 2,
     .n_directions = 1, .n_inputs = 7, .units = {33, 20}, .n_scores = 2,
     .loss = LOSS_squared_error, .per_step = 1, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "normalized gru_v1, teams", .cell = CELL_gru_v1, .layer_norm = 1, .n_layers = 1,
     .n_directions = 1, .n_inputs = 9, .units = {100}, .n_scores = 3,
     .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 4,
     .members = 4},
    {.name = "normalized lstm, teams", .cell = CELL_lstm, .layer_norm = 1, .n_layers = 2,
     .n_directions = 1, .n_inputs = 9, .units = {100, 70}, .n_scores = 3,
     .loss = LOSS_squared_error, .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 5,
     .members = 5},
    {.name = "crf, two directions, tokens, lanes", .cell = CELL_lstm, .n_layers = 1,
     .n_directions = 2, .n_inputs = 6, .units = {19}, .n_scores = 17, .vocabulary = 9,
     .loss = LOSS_crf, .per_step = 1, .n_rows = 24, .lengths = RAGGED, .threads = 2},
    {.name = "crf of two labels, teams", .cell = CELL_lstm, .n_layers = 1,
     .n_directions = 1, .n_inputs = 9, .units = {100}, .n_scores = 2, .loss = LOSS_crf,
     .per_step = 1, .n_rows = 3, .lengths = LONG, .threads = 5, .members = 5},
    {.name = "wide head", .cell = CELL_lstm, .n_layers = 1, .n_directions = 1, .n_inputs = 8,
     .units = {40}, .n_scores = 403, .vocabulary = 9, .loss = LOSS_softmax, .per_step = 1,
     .wide = 1, .n_rows = 24, .lengths = RAGGED, .threads = 5},
    {.name = "wide head, teams", .cell = CELL_lstm, .n_layers = 1, .n_directions = 1,
     .n_inputs = 8, .units = {100}, .n_scores = 403, .loss = LOSS_softmax, .per_step = 1,
     .wide = 1, .n_rows = 3, .lengths = LONG, .threads = 5, .members = 5},
    {.name = "sampled classes, dropout", .cell = CELL_coupled, .n_layers = 2,
     .n_directions = 1, .n_inputs = 8, .units = {20, 24}, .n_scores = 403, .vocabulary = 9,
     .loss = LOSS_softmax, .per_step = 1, .wide = 1, .sampled = 1, .dropout = 0.2,
     .recurrent_dropout = 0.3, .weight_dropout = 0.4, .embedding_dropout = 0.2, .n_rows = 24,
     .lengths = RAGGED, .threads = 5},
    {.name = "dropout, lanes", .cell = CELL_peephole, .n_layers = 2, .n_directions = 2,
     .n_inputs = 8, .units = {20, 24}, .n_scores = 3, .vocabulary = 9, .loss = LOSS_softmax,
     .dropout = 0.2, .recurrent_dropout = 0.3, .weight_dropout = 0.4, .embedding_dropout = 0.2,
     .n_rows = 24, .lengths = RAGGED, .threads = 2},
};

/* With an argument only the highest level. */
int main(int n_arguments, char **arguments)
{
    (void)arguments;
    const int highest = simd_highest();
    for (int level = n_arguments > 1 ? highest : BASELINE; level <= highest; level++)
        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
            check(&cases[k], level);
    if (n_off)
        printf("%d checks are off\n", n_off);
    return n_off > 0;
}
