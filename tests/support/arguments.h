#ifndef FLETCH_TESTS_SUPPORT_ARGUMENTS_H
#define FLETCH_TESTS_SUPPORT_ARGUMENTS_H

#include <stdint.h>

/* What a randomised test is told: `program [seed [scale]]`. The seed decides every random choice,
 * the scale multiplies the counts. */
struct test_arguments {
    uint64_t seed;
    uint64_t scale;
};

/* Reads the arguments, and prints them so that a failing run can be repeated. Exits with 2 if one
 * is not a number. */
struct test_arguments test_arguments_read(int argc, char **argv);

#endif
