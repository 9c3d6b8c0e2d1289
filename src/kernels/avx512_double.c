#define ISA AVX512
#define REAL_IS_FLOAT 0
#include "isa.h"
