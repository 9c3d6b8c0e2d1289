#define LEVEL BASELINE
#define REAL_IS_FLOAT 1
#include "level.h"
