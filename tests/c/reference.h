/* What the checks in C share: random numbers, and cells in dual numbers, which carry a value and
 * its derivative in one direction. They are written from the equations of the papers, without a look at
 * the kernels, and no derivative is derived by hand. */
#ifndef CYLSTM_REFERENCE
#define CYLSTM_REFERENCE

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cell_table.h"

/* The checks say in which precision they count. */
typedef EXACT exact;

/* -- Random numbers (xorshift, Marsaglia 2003) -- */

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Uniform between -scale and scale. */
static double random_number(double scale)
{
    return scale * ((double)(random_bits() >> 11) / 4503599627370496.0 - 1);
}

/* -- Memory: no more than is asked for, so that AddressSanitizer sees every overrun -- */

static void *allocate(size_t n_bytes)
{
    void *memory = calloc(n_bytes ? n_bytes : 1, 1);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

/* -- Dual numbers -- */

typedef struct {
    exact v, d;
} dual;

static dual number(exact v) { return (dual){v, 0}; }

static dual plus(dual a, dual b) { return (dual){a.v + b.v, a.d + b.d}; }

static dual minus(dual a, dual b) { return (dual){a.v - b.v, a.d - b.d}; }

static dual times(dual a, dual b) { return (dual){a.v * b.v, a.v * b.d + a.d * b.v}; }

static exact exact_exp(exact x) { return sizeof(exact) == sizeof(double) ? exp(x) : expl(x); }

static exact exact_tanh(exact x) { return sizeof(exact) == sizeof(double) ? tanh(x) : tanhl(x); }

static exact exact_root(exact x) { return sizeof(exact) == sizeof(double) ? sqrt(x) : sqrtl(x); }

/* 1 / sqrt(x) */
static dual inverse_root(dual x)
{
    const exact y = 1 / exact_root(x.v);
    return (dual){y, -y / (2 * x.v) * x.d};
}

static dual logistic_of(dual x)
{
    const exact y = 1 / (1 + exact_exp(-x.v));
    return (dual){y, y * (1 - y) * x.d};
}

static dual phi_of(dual x, int relu)
{
    if (relu)
        return (dual){x.v > 0 ? x.v : 0, x.v > 0 ? x.d : 0};
    const exact y = exact_tanh(x.v);
    return (dual){y, (1 - y * y) * x.d};
}

/* -- Cells -- */

/* What a step of a cell makes of its pre-activations, in the order of the table. */
typedef struct {
    dual gates[MAX_GATES], c, phi_c, h;
} cell_step;

static dual seen(int peepholes, int k, const dual *p, dual c)
{
    return peepholes ? times(p[k], c) : number(0);
}

/* z: W x + U h + b (of "gru_v1" U r h for the last one); p: the peephole weights of i, f and o. */
static cell_step reference_cell(int cell, int relu, const dual *z, const dual *p, dual c_prev)
{
    cell_step s = {.phi_c = number(0)};
    if (cell == CELL_gru || cell == CELL_gru_v1) { /* [m,] r, z, n; without a cell state */
        const int first = cell == CELL_gru;
        const dual r = logistic_of(z[first]), u = logistic_of(z[first + 1]);
        const dual n = phi_of(first ? plus(z[3], times(r, z[0])) : z[2], relu);
        s.h = s.c = plus(times(minus(number(1), u), n), times(u, c_prev));
        s.gates[0] = z[0];
        s.gates[first] = r, s.gates[first + 1] = u, s.gates[first + 2] = n;
        return s;
    }
    if (cell == CELL_coupled) { /* i, g, o; f = 1 - i */
        const dual i = logistic_of(z[0]), g = phi_of(z[1], relu), o = logistic_of(z[2]);
        s.c = plus(times(minus(number(1), i), c_prev), times(i, g));
        s.phi_c = phi_of(s.c, relu);
        s.h = times(o, s.phi_c);
        s.gates[0] = i, s.gates[1] = g, s.gates[2] = o;
        return s;
    }
    const int peepholes = cell == CELL_peephole || cell == CELL_peephole_lagged;
    const dual i = logistic_of(plus(z[0], seen(peepholes, 0, p, c_prev)));
    const dual f = logistic_of(plus(z[1], seen(peepholes, 1, p, c_prev)));
    const dual g = phi_of(z[2], relu);
    s.c = plus(times(f, c_prev), times(i, g));
    const dual o =
        logistic_of(plus(z[3], seen(peepholes, 2, p, cell == CELL_peephole ? s.c : c_prev)));
    s.phi_c = phi_of(s.c, relu);
    s.h = times(o, s.phi_c);
    s.gates[0] = i, s.gates[1] = f, s.gates[2] = g, s.gates[3] = o;
    return s;
}

#endif
