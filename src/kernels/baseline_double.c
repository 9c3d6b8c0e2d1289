#define ISA BASELINE
#define REAL_IS_FLOAT 0
#include "isa.h"
