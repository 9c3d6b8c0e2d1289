#define LEVEL AVX2
#define REAL_IS_FLOAT 1
#include "level.h"
