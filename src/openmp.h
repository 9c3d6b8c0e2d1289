/* OpenMP where the compiler has it, else one thread. */
#ifndef CYLSTM_OPENMP
#define CYLSTM_OPENMP

#if defined(_OPENMP)
#include <omp.h>
#define CYLSTM_HAS_OPENMP 1
/* For all threads of the region that this is called in. */
static inline void wait_for_all(void)
{
#pragma omp barrier
}
#else
#define CYLSTM_HAS_OPENMP 0
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_num_procs(void) { return 1; }
static inline int omp_get_num_threads(void) { return 1; }
static inline void wait_for_all(void) {}
#endif

#endif
