#include "flow/agent_reply.h"

#include "sync/eventcount.h"

enum { FREE, WAITING, WRITING, ANSWERED, ABANDONED, STATE_BITS = 3, STATE_MASK = 7 };

static uint64_t word(uint64_t generation, unsigned state)
{
    return generation << STATE_BITS | state;
}

bool fletch_agent_entry_claim(struct fletch_agent_entry *entry, uint64_t *out_generation)
{
    uint64_t state = load_relaxed(&entry->state); /* relaxed: the exchange below looks again */
    if ((state & STATE_MASK) != FREE)
        return false;
    *out_generation = state >> STATE_BITS;
    return cas_strong_acq_rel(&entry->state, &state, state | WAITING); /* E2 acquire */
}

bool fletch_agent_entry_answer(struct fletch_agent_entry *entry, uint64_t generation,
                               const struct fletch_batch_slot *slot, enum fletch_status status)
{
    uint64_t state = word(generation, WAITING);
    /* relaxed: the request was handed over with all that its asker did before */
    if (!cas_strong_relaxed(&entry->state, &state, word(generation, WRITING)))
        return false;
    entry->slot = *slot;
    entry->status = status;
    state = word(generation, WRITING);
    /* E1 release; E2 acquire where it was abandoned */
    if (cas_strong_acq_rel(&entry->state, &state, word(generation, ANSWERED))) {
        fletch_eventcount_notify(entry->wake, UINT32_MAX);
        return true;
    }
    store_release(&entry->state, word(generation + 1, FREE)); /* E2 release */
    return false;
}

bool fletch_agent_entry_take(struct fletch_agent_entry *entry, uint64_t generation,
                             struct fletch_batch_slot *out_slot, enum fletch_status *out_status)
{
    if (load_acquire(&entry->state) != word(generation, ANSWERED)) /* E1 acquire */
        return false;
    *out_slot = entry->slot;
    *out_status = entry->status;
    store_release(&entry->state, word(generation + 1, FREE)); /* E2 release */
    return true;
}

bool fletch_agent_entry_give_up(struct fletch_agent_entry *entry, uint64_t generation)
{
    uint64_t state = word(generation, WAITING);
    if (cas_strong_release(&entry->state, &state, word(generation + 1, FREE))) /* E2 release */
        return true;
    return state == word(generation, WRITING) &&
           cas_strong_release(&entry->state, &state, /* E2 release, passed on by the replier */
                              word(generation, ABANDONED));
}

uint64_t fletch_agent_entry_generation(const struct fletch_agent_entry *entry)
{
    return load_relaxed(&entry->state) >> STATE_BITS; /* relaxed: no data behind it */
}

bool fletch_agent_entry_is_open(const struct fletch_agent_entry *entry)
{
    uint64_t state = load_relaxed(&entry->state) & STATE_MASK; /* relaxed: no data behind it */
    return state != FREE && state != ABANDONED;
}
