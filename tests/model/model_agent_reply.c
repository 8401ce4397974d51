/* An entry for replies: askers that claim it one after the other, each with a request of its own,
 * and a replier for each request.
 *
 * Each reply is the asker's or stays the replier's, never both and never neither; the asker gets
 * that of its own request; in the end the entry is free.
 *
 * ASKERS     threads that ask once each, for the same entry; 1 or 2
 * REQUESTS   that each of them makes, one after the other
 * TRIES      looks after which an asker gives up; 0: it sleeps until there is a reply */

#include "flow/agent_reply.h"

#include "sync/eventcount.h"

#include "harness.h"

#ifndef ASKERS
#define ASKERS 1
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef TRIES
#define TRIES 1
#endif

enum { ALL = ASKERS * REQUESTS };

static struct fletch_eventcount eventcount;
static struct fletch_agent_entry entry;

static struct request {
    _Atomic uint64_t published; /* generation + 1: the asker's release, the replier's acquire */
    bool was_accepted;          /* the replier's: the entry has its batch */
    bool was_taken;             /* the asker's */
} requests[ALL];

static void *reply(void *argument)
{
    uint32_t number = (uint32_t)(uintptr_t)argument;
    struct request *request = &requests[number];
    const struct fletch_batch_slot slot = {.shuffle_hash = number + 1, .partition = number};
    uint64_t published;
    while ((published = load_acquire(&request->published)) == 0)
        harness_pause();
    request->was_accepted = fletch_agent_entry_answer(&entry, published - 1, &slot, FLETCH_ABORTED);
    return NULL;
}

static bool try_take(uint32_t number, uint64_t generation)
{
    struct fletch_batch_slot slot;
    enum fletch_status status;
    if (!fletch_agent_entry_take(&entry, generation, &slot, &status))
        return false;
    harness_assert(slot.partition == number && slot.shuffle_hash == number + 1);
    harness_assert(status == FLETCH_ABORTED);
    requests[number].was_taken = true;
    return true;
}

static void take_parked(uint32_t number, uint64_t generation)
{
    while (!try_take(number, generation)) {
        uint32_t key = fletch_eventcount_prepare(&eventcount);
        bool is_taken = try_take(number, generation);
        if (is_taken) {
            fletch_eventcount_cancel(&eventcount);
            return;
        }
        (void)fletch_eventcount_wait(&eventcount, key, FLETCH_NO_TIMEOUT);
    }
}

static void take_or_give_up(uint32_t number, uint64_t generation)
{
    for (int i = 0; i < TRIES; i++)
        if (try_take(number, generation))
            return;
    if (!fletch_agent_entry_give_up(&entry, generation))
        harness_assert(try_take(number, generation));
}

static void ask(uint32_t number)
{
    uint64_t generation;
    while (!fletch_agent_entry_claim(&entry, &generation))
        harness_pause();
    entry.deadline_ns = number + 1; /* the asker's own as long as it has the entry */
    store_release(&requests[number].published, generation + 1);
    harness_assert(entry.deadline_ns == number + 1);
    if (TRIES == 0)
        take_parked(number, generation);
    else
        take_or_give_up(number, generation);
}

static void *ask_all(void *argument)
{
    uint32_t asker = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < REQUESTS; i++)
        ask(asker * REQUESTS + i);
    return NULL;
}

void harness(void)
{
    struct harness_thread repliers[ALL], askers[ASKERS];
    fletch_eventcount_start(&eventcount, FLETCH_SHARING_PROCESS);
    entry = (struct fletch_agent_entry){.wake = &eventcount};
    for (uint32_t i = 0; i < ALL; i++)
        requests[i] = (struct request){.was_taken = false};
    for (uint32_t i = 0; i < ALL; i++)
        harness_start(&repliers[i], reply, (void *)(uintptr_t)i);
    for (uint32_t i = 1; i < ASKERS; i++)
        harness_start(&askers[i], ask_all, (void *)(uintptr_t)i);
    ask_all((void *)(uintptr_t)0);
    for (uint32_t i = 1; i < ASKERS; i++)
        harness_join(&askers[i]);
    for (uint32_t i = 0; i < ALL; i++) {
        harness_join(&repliers[i]);
        harness_assert(requests[i].was_accepted == requests[i].was_taken);
    }
    uint64_t generation;
    harness_assert(fletch_agent_entry_claim(&entry, &generation) && generation == ALL);
    fletch_eventcount_deinit(&eventcount);
}
