#define REAL_IS_FLOAT 1
#include "passes.h"
