/* How many threads OpenMP allows now; one in a build without OpenMP. */
#ifdef _OPENMP
#include <omp.h>
#define CYLSTM_HAS_OPENMP 1
#else
#define CYLSTM_HAS_OPENMP 0
static int omp_get_max_threads(void) { return 1; }
#endif
