/* The barrier of a team: threads that share the units of a layer wait for each other at every
 * step. */
#ifndef CYLSTM_TEAM
#define CYLSTM_TEAM

#include <stddef.h>

#include "../tuning.h"

#if defined(_OPENMP) && defined(_WIN32)
#include <windows.h>
#define YIELD() SwitchToThread()
#elif defined(_OPENMP)
#include <sched.h>
#define YIELD() sched_yield()
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define SPIN_HINT() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define SPIN_HINT() __asm__ volatile("yield")
#else
#define SPIN_HINT() ((void)0)
#endif

typedef struct {
    int arrived;    /* in this round */
    unsigned round;
    char padding[CACHE_LINE - 2 * sizeof(int)]; /* a cache line for each barrier */
} team_barrier;

/* A thread's place in its team. */
typedef struct {
    int number;            /* from 0; the first member does the serial parts */
    int members;           /* of the team */
    ptrdiff_t portion;     /* blocks that a member takes at a time */
    team_barrier *barrier;
} team_member;

/* Wait until all members have arrived. A member that has lost its core to another process holds
 * up all others: on a busy machine a team may be slower than one thread. */
static inline void barrier_wait(const team_member *member)
{
#if defined(_OPENMP)
    team_barrier *barrier = member->barrier;
    if (member->members == 1)
        return;
    const unsigned round = __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == member->members) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++) {
        SPIN_HINT();
        if (spins >= BARRIER_SPINS) {
            YIELD();
            spins = BARRIER_SPINS;
        }
    }
#else
    (void)member;
#endif
}

/* A member's part of n rows. */
static inline void share_rows(
    const team_member *member, ptrdiff_t n, ptrdiff_t *first, ptrdiff_t *last)
{
    *first = member->number * n / member->members;
    *last = (member->number + 1) * n / member->members;
}

/* A member's part of some blocks, in whole portions. */
static inline void share_blocks(
    const team_member *member, ptrdiff_t n_blocks, ptrdiff_t *first, ptrdiff_t *last)
{
    const ptrdiff_t portion = member->portion, members = member->members;
    const ptrdiff_t n_portions = (n_blocks + portion - 1) / portion;
    *first = member->number * n_portions / members * portion;
    *last = (member->number + 1) * n_portions / members * portion;
    if (*first > n_blocks)
        *first = n_blocks;
    if (*last > n_blocks)
        *last = n_blocks;
}

#endif
