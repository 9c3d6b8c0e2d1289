/* Threads that share the units of a layer meet here once per step. */
#include <stdint.h>
#if defined(_OPENMP)
#include <sched.h>
#endif

typedef struct {
    int members;
    int here;          /* of this round */
    unsigned round;
    char padding[52];  /* a cache line for each meeting */
} team_meeting;

/* Wait until all members have come. Between two steps some microseconds pass, for which
 * sleeping does not pay. A member that has lost its CPU to another process holds all others
 * up: on a busy machine a team may be slower than one thread. */
static inline void team_meet(team_meeting *meeting)
{
#if defined(_OPENMP)
    enum { SPINS = 2000 };
    const unsigned round = __atomic_load_n(&meeting->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&meeting->here, 1, __ATOMIC_ACQ_REL) == meeting->members) {
        __atomic_store_n(&meeting->here, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&meeting->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (long spins = 0; __atomic_load_n(&meeting->round, __ATOMIC_ACQUIRE) == round; spins++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (spins >= SPINS)
            sched_yield();
    }
#else
    (void)meeting;
#endif
}
