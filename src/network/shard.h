/* One shard on its way through a network, as one thread sees it. The members of a team go the way
 * together: they share the memory, and each has its own of these. */
typedef struct {
    const network_plan *plan;
    const task *task;
    const kernels *kernels;
    team_member member;
    const row *rows;
    ptrdiff_t n_rows;
    steps *steps;
} shard;

/* The first member does what is not shared. */
static inline int shard_leads(const shard *s) { return s->member.number == 0; }
