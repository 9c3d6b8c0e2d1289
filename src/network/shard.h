/* A shard being processed, as one thread sees it. The members of a team process it together: they
 * share the memory, and each has a struct of its own. */
typedef struct {
    const network_plan *plan;
    const task *task;
    const kernels *kernels;
    team_member member;
    const row *rows;
    ptrdiff_t n_rows;
    steps *steps;
} shard;

/* The first member does the serial parts. */
static inline int is_leader(const shard *s) { return s->member.number == 0; }
