#define LEVEL BASELINE
#define REAL_IS_FLOAT 0
#include "level.h"
