/* The type of all numbers in a unit: float where REAL_IS_FLOAT, else double. Each unit has one
 * precision, so that no name needs a suffix and a debugger steps through plain C. */
#ifndef CYLSTM_REAL
#define CYLSTM_REAL

#if REAL_IS_FLOAT
typedef float real;
#define PRECISION_NAME float
#else
typedef double real;
#define PRECISION_NAME double
#endif

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

#endif
