/* The table of cells: what each gate sees, and the vectors of a cell's state.
 *
 * X(name, gates, gates that see x, that see h, that see c, state)
 *
 * Gates are letters, stacked in this order in weights, biases and packed columns. weight_ih
 * holds the rows of the gates that see x, weight_hh of those that see h, and peephole a vector
 * for each that sees c. The state is "hc", or "h" where the vector that goes from step to step
 * is the hidden state itself. */
#ifndef CYLSTM_CELL_TABLE
#define CYLSTM_CELL_TABLE

#define CELLS(X)                                             \
    X(lstm, "ifgo", "ifgo", "ifgo", "", "hc")                \
    X(peephole, "ifgo", "ifgo", "ifgo", "ifo", "hc")         \
    X(peephole_lagged, "ifgo", "ifgo", "ifgo", "ifo", "hc")  \
    X(coupled, "igo", "igo", "igo", "", "hc")                \
    X(input_gated, "ifgo", "ifgo", "", "", "hc")

enum { MAX_GATES = 4, MAX_PEEPHOLES = 3 };

enum {
#define CELL_NUMBER(name, ...) CELL_##name,
    CELLS(CELL_NUMBER)
#undef CELL_NUMBER
    N_CELLS
};

#endif
