#define ISA AVX512
#define REAL_IS_FLOAT 1
#include "isa.h"
