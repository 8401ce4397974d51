#include "interpreter.h"

#include <string.h>

#include "../../harness.h"
#include "../actions.h"

static const char *program;
static uint32_t place[PLACES];
static int registers[REGISTERS];

/* Each operation has at most four letters. */
struct operation {
    char kind, place, order, number;
};

static int order_of(char letter)
{
    switch (letter) {
    case 'a':
        return MC_ACQUIRE;
    case 'r':
        return MC_RELEASE;
    case 'b':
        return MC_ACQ_REL;
    case 's':
        return MC_SEQ_CST;
    default:
        return MC_RELAXED;
    }
}

static void compare(const struct operation *operation, uintptr_t address, int number)
{
    int order = order_of(operation->order);
    struct mc_compare_exchange call = {
        .address = address,
        .bytes = 4,
        .desired = 5,
        .success_order = order,
        .failure_order = order == MC_ACQ_REL   ? MC_ACQUIRE
                         : order == MC_RELEASE ? MC_RELAXED
                                               : order,
        .weak = operation->kind == 'K',
    };
    mc_compare_exchange(&call);
    registers[number] = (int)call.expected;
}

static void access_place(const struct operation *operation)
{
    uintptr_t address = (uintptr_t)&place[operation->place - 'x'];
    int order = order_of(operation->order), number = operation->number - '0';
    if (operation->kind == 'W')
        mc_store(address, 4, (uint64_t)number, order);
    else if (operation->kind == 'R')
        registers[number] = (int)mc_load(address, 4, order);
    else if (operation->kind == 'A')
        registers[number] = (int)mc_update(address, 4, 1, order, MC_ADD);
    else if (operation->kind == 'X')
        registers[number] = (int)mc_update(address, 4, 7, order, MC_EXCHANGE);
    else
        compare(operation, address, number);
}

static void run_operation(const char *text)
{
    if (text[0] == 'F')
        mc_fence(order_of(text[1]));
    else if (text[0] == 'L')
        mc_fence_light();
    else if (text[0] == 'H')
        mc_fence_heavy();
    else
        access_place(&(struct operation){text[0], text[1], text[2], text[3]});
}

static void *run_thread(void *text)
{
    for (const char *at = text; *at != '\0' && *at != '|'; at++)
        if (*at != ' ' && (at == text || at[-1] == ' ' || at[-1] == '|'))
            run_operation(at);
    return NULL;
}

static void run_threads(void)
{
    struct harness_thread threads[4];
    int count = 0;
    uint64_t outcome = UINT64_C(1) << 63; /* never 0 */
    memset(registers, 0, sizeof registers);
    memset(place, 0, sizeof place);
    for (const char *at = program; at != NULL; at = strchr(at, '|')) {
        if (*at == '|')
            at++;
        harness_start(&threads[count++], run_thread, (void *)at);
    }
    for (int i = 0; i < count; i++)
        harness_join(&threads[i]);
    for (int i = 0; i < PLACES; i++)
        outcome |= mc_load((uintptr_t)&place[i], 4, MC_RELAXED) << (4 * (REGISTERS + i));
    for (int i = 0; i < REGISTERS; i++)
        outcome |= (uint64_t)(registers[i] & 15) << (4 * i);
    mc_outcome(outcome);
}

void run_program(const char *text, enum mc_mode mode, struct mc_result *result)
{
    program = text;
    mc_check(&(struct mc_options){.mode = mode, .collect = true, .quiet = true}, run_threads,
             result);
}
