/* Reduction against no reduction on random programs: the same executions, each once. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"

enum { TEXT_BYTES = 128 };

static uint64_t random_state;

static unsigned below(unsigned bound)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) >> 33) % bound;
}

/* One operation; `number` counts registers and values. */
static void add_operation(char *text, int *number)
{
    static const char kinds[] = "WWWRRRRACKXFLH";
    static const char orders[] = "..arbs";
    char kind = kinds[below(sizeof kinds - 1)], operation[8] = "";
    char order = orders[below(sizeof orders - 1)];
    char place = (char)('x' + below(2));
    if ((kind == 'W' && (order == 'a' || order == 'b')) ||
        (kind == 'R' && (order == 'r' || order == 'b')) || (kind == 'F' && order == '.'))
        order = 's';
    if (kind == 'F')
        snprintf(operation, sizeof operation, " F%c", order);
    else if (kind == 'L' || kind == 'H')
        snprintf(operation, sizeof operation, " %c", kind);
    else
        snprintf(operation, sizeof operation, " %c%c%c%d", kind, place, order,
                 (*number)++ % REGISTERS);
    strcat(text, operation);
}

static void make_program(char *text)
{
    int number = 0, threads = 2 + (int)below(2);
    text[0] = '\0';
    for (int i = 0; i < threads; i++) {
        int operations = threads == 2 ? 2 + (int)below(4) : 1 + (int)below(3);
        if (i > 0)
            strcat(text, "|");
        for (int k = 0; k < operations; k++)
            add_operation(text, &number);
    }
}

int main(int count, char **argument)
{
    unsigned long seed = count > 1 ? strtoul(argument[1], NULL, 0) : 1;
    unsigned long programs = count > 2 ? strtoul(argument[2], NULL, 0) : 400;
    unsigned long failed = 0, executions = 0, all_runs = 0;
    for (unsigned long i = 0; i < programs; i++) {
        char text[TEXT_BYTES];
        struct mc_result reduced, all;
        random_state = seed * 1000003 + i;
        make_program(text);
        run_program(text, MC_EXHAUSTIVE, &reduced);
        run_program(text, MC_UNREDUCED, &all);
        bool same = mc_set_equal(&reduced.graphs, &all.graphs);
        bool once = reduced.graphs.count == reduced.complete;
        if (!same || !once)
            printf("seed %lu program %lu \"%s\": %zu graphs in %lu executions, %zu without "
                   "reduction\n",
                   seed, i, text, reduced.graphs.count, reduced.complete, all.graphs.count);
        failed += !same || !once;
        executions += reduced.complete;
        all_runs += all.complete;
        mc_result_free(&reduced);
        mc_result_free(&all);
    }
    printf("random programs: seed %lu, %lu programs, %lu executions (%lu unreduced), %lu wrong\n",
           seed, programs, executions, all_runs, failed);
    return failed == 0 ? 0 : 1;
}
