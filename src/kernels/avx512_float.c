#define LEVEL AVX512
#define REAL_IS_FLOAT 1
#include "level.h"
