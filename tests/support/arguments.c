#include "support/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SEED UINT64_C(20240607)

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno != 0 || *text == '\0' || *end != '\0') {
        fprintf(stderr, "'%s' is not a number; usage: program [seed [scale]]\n", text);
        exit(2);
    }
    return value;
}

struct test_arguments test_arguments_read(int argc, char **argv)
{
    struct test_arguments arguments = {.seed = DEFAULT_SEED, .scale = 1};
    if (argc > 1)
        arguments.seed = number(argv[1]);
    if (argc > 2)
        arguments.scale = number(argv[2]);
    printf("seed %" PRIu64 ", scale %" PRIu64 "\n", arguments.seed, arguments.scale);
    fflush(stdout);
    return arguments;
}
