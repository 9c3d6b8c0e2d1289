#define ISA BASELINE
#define REAL_IS_FLOAT 1
#include "isa.h"
