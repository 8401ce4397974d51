/* Agents: one deals numbers out to three workers, which square them and send them to one that adds
 * them up: fan-out and fan-in. In the middle a barrier goes through all of them, and divides what
 * was sent before it from what comes after it. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { WORKERS = 3, NUMBERS = 30000 };
#define SECOND UINT64_C(1000000000)

static struct fletch_agent *workers[WORKERS], *adder;
static uint64_t sum, sum_at_barrier;

/* A number travels as the hash of a slot: a slot need not have a batch. */
static enum fletch_status deal(void *state, struct fletch_agent *self,
                               const struct fletch_agent_message *message,
                               struct fletch_error *error)
{
    (void)state;
    if (message->kind != FLETCH_AGENT_BATCH)
        return FLETCH_OK; /* a barrier goes on by itself */
    return fletch_agent_emit(self, workers[message->slot.shuffle_hash % WORKERS], &message->slot,
                             error);
}

static enum fletch_status square(void *state, struct fletch_agent *self,
                                 const struct fletch_agent_message *message,
                                 struct fletch_error *error)
{
    struct fletch_batch_slot slot = message->slot;
    (void)state;
    slot.shuffle_hash *= slot.shuffle_hash;
    return message->kind == FLETCH_AGENT_BATCH ? fletch_agent_emit(self, adder, &slot, error)
                                               : FLETCH_OK;
}

static enum fletch_status add(void *state, struct fletch_agent *self,
                              const struct fletch_agent_message *message,
                              struct fletch_error *error)
{
    const struct fletch_batch_slot answer = {.shuffle_hash = sum_at_barrier};
    (void)state;
    if (message->kind == FLETCH_AGENT_BATCH)
        sum += message->slot.shuffle_hash;
    if (message->kind == FLETCH_AGENT_BARRIER)
        sum_at_barrier = sum; /* all workers have sent it */
    return message->kind == FLETCH_AGENT_REQUEST
               ? fletch_agent_reply(self, &message->request, &answer, error)
               : FLETCH_OK;
}

static struct fletch_agent *spawn(struct fletch_agent_system *system, const char *name,
                                  struct fletch_agent_functions functions)
{
    const struct fletch_agent_options options = {
        .struct_size = sizeof options, .name = name, .functions = &functions};
    struct fletch_agent *agent = NULL;
    struct fletch_error error;
    must(fletch_agent_spawn(system, &options, &agent, &error), &error);
    return agent;
}

int main(void)
{
    static const char *const names[WORKERS] = {"worker 1", "worker 2", "worker 3"};
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_batch_slot slot = {.shuffle_hash = 0}, answer;
    struct fletch_error error;
    must(fletch_transport_create(NULL, NULL, &transport, &error), &error);
    must(fletch_agent_system_create(transport, NULL, &system, &error), &error);
    struct fletch_agent *dealer =
        spawn(system, "dealer", (struct fletch_agent_functions){.receive = deal});
    adder = spawn(system, "adder", (struct fletch_agent_functions){.receive = add});
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = spawn(system, names[i], (struct fletch_agent_functions){.receive = square});
        must(fletch_agent_link(dealer, workers[i], 0, &error), &error);
        must(fletch_agent_link(workers[i], adder, 0, &error), &error);
    }
    must(fletch_agent_system_start(system, &error), &error);
    for (slot.shuffle_hash = 0; slot.shuffle_hash < NUMBERS; slot.shuffle_hash++) {
        if (slot.shuffle_hash == NUMBERS / 2)
            must(fletch_agent_system_barrier(system, 1, &error), &error);
        must(fletch_agent_post(dealer, &slot, 60 * SECOND, &error), &error);
    }
    must(fletch_agent_system_wait_barrier(system, 1, 60 * SECOND, &error), &error);
    must(fletch_agent_call(adder, &slot, 60 * SECOND, &answer, &error), &error);
    must(fletch_agent_system_drain(system, 60 * SECOND, &error), &error);
    must(fletch_agent_system_destroy(system, 60 * SECOND, &error), &error);
    must(fletch_transport_destroy(transport, &error), &error);

    printf("%" PRIu64 " at the barrier, %" PRIu64 " in the end\n", answer.shuffle_hash, sum);
    uint64_t n = NUMBERS, half = NUMBERS / 2;
    must_be(answer.shuffle_hash == (half - 1) * half * (2 * half - 1) / 6, "the barrier divides");
    must_be(sum == (n - 1) * n * (2 * n - 1) / 6, "the sum is right");
    return 0;
}
