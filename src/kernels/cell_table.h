/* The table of cells: what each gate sees, and the vectors of a cell's state.
 *
 * X(name, gates, gates that see x, that see h, that see r h, that see c, state)
 *
 * Gates are letters, stacked in this order in biases and packed columns. weight_ih holds the rows
 * of the gates that see x, weight_hh of those that see h and then of those that see r h, and
 * peephole a vector for each that sees c; each in the order of its letters. Gates that see the
 * same operand stand side by side, and those that do not see x come first (their biases are
 * bias_hn, the others' bias). The state is "hc", with h = o phi(c) and o the last gate, or "h"
 * where the vector that goes from step to step is the hidden state itself. m, of "gru", is what the
 * reset gate multiplies, U h + b. */
#ifndef CYLSTM_CELL_TABLE
#define CYLSTM_CELL_TABLE

#define CELLS(X)                                                 \
    X(lstm, "ifgo", "ifgo", "ifgo", "", "", "hc")                \
    X(peephole, "ifgo", "ifgo", "ifgo", "", "ifo", "hc")         \
    X(peephole_lagged, "ifgo", "ifgo", "ifgo", "", "ifo", "hc")  \
    X(coupled, "igo", "igo", "igo", "", "", "hc")                \
    X(input_gated, "ifgo", "ifgo", "", "", "", "hc")             \
    X(gru, "mrzn", "rzn", "rzm", "", "", "h")                    \
    X(gru_v1, "rzn", "rzn", "rz", "n", "", "h")

enum { MAX_GATES = 4, MAX_PEEPHOLES = 3 };

enum {
#define CELL_NUMBER(name, ...) CELL_##name,
    CELLS(CELL_NUMBER)
#undef CELL_NUMBER
    N_CELLS
};

#endif
