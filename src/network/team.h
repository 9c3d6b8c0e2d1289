/* The barrier of a team: threads that share the units of a layer wait for each other at every
 * step. */
#ifndef CYLSTM_TEAM
#define CYLSTM_TEAM

#include <stddef.h>
#include <stdint.h>

#include "../tuning.h"

#if defined(_OPENMP) && defined(_WIN32)
#include <windows.h>
#define YIELD() SwitchToThread()
#define NAP() SwitchToThread() /* Sleep would take milliseconds */
#elif defined(_OPENMP)
#include <sched.h>
#include <time.h>
#define YIELD() sched_yield()
#define NAP() nanosleep(&(struct timespec){0, 1000}, NULL) /* takes some 60 microseconds */
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
    int napping;    /* a member that yielded had lost its core */
    char padding[CACHE_LINE - 3 * sizeof(int)]; /* a cache line for each barrier */
} team_barrier;

/* A thread's place in its team. */
typedef struct {
    int number;            /* from 0; the first member does the serial parts */
    int members;           /* of the team */
    ptrdiff_t portion;     /* blocks that a member takes at a time */
    team_barrier *barrier;
} team_member;

/* Nanoseconds since some moment; 0 without OpenMP, where there are no teams. */
static inline int64_t team_clock(void)
{
#if defined(_OPENMP) && defined(_WIN32)
    LARGE_INTEGER ticks, ticks_per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&ticks_per_second);
    return (int64_t)(1e9 * (double)ticks.QuadPart / (double)ticks_per_second.QuadPart);
#elif defined(_OPENMP)
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#else
    return 0;
#endif
}

#if defined(_OPENMP)
/* Wait for the end of a round with other threads on the core: perhaps the member that is waited
 * for. A yield to another process lasts its whole time slice, at every barrier; a thread that
 * sleeps gets its core back when it wakes. */
static inline void long_wait(team_barrier *barrier, unsigned round)
{
    int64_t now = team_clock();
    while (__atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round) {
        const int64_t before = now;
        if (__atomic_load_n(&barrier->napping, __ATOMIC_RELAXED))
            NAP();
        else
            YIELD();
        now = team_clock();
        if (now - before > LONG_YIELD)
            __atomic_store_n(&barrier->napping, 1, __ATOMIC_RELAXED);
    }
}
#endif

/* Wait until all members have arrived. */
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
    for (int spins = 0; spins < BARRIER_SPINS; spins++) {
        if (__atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) != round)
            return;
        SPIN_HINT();
    }
    long_wait(barrier, round);
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
