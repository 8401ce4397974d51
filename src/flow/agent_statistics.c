#include <fletching/agent_statistics.h>

#include <string.h>

#include "flow/agent.h"

static uint64_t seen(const _Atomic uint64_t *counter)
{
    return load_relaxed(counter); /* relaxed: counters may lag behind each other */
}

static uint32_t seen32(const _Atomic uint32_t *state)
{
    return load_relaxed(state); /* relaxed: as above */
}

void fletch_agent_statistics(const struct fletch_agent *agent,
                             struct fletch_agent_counts *out_statistics)
{
    const struct fletch_agent_counters *counters = &agent->counters;
    struct fletch_agent_counts statistics = {
        .struct_size = out_statistics->struct_size,
        .state = (enum fletch_agent_state)seen32(&counters->state),
        .messages = seen(&counters->messages),
        .emitted = seen(&counters->emitted),
        .replied = seen(&counters->replied),
        .replies_late = seen(&counters->replies_late),
        .requests_expired = seen(&counters->requests_expired),
        .restarts = seen(&counters->restarts),
        .dead_letters = seen(&counters->dead_letters),
        .barrier = seen(&agent->passed),
    };
    /* relaxed: as above; agents do not move */
    const struct fletch_agent *waits_for = load_relaxed(&counters->waits_for);
    if (waits_for != NULL)
        memcpy(statistics.waits_for, waits_for->name, sizeof statistics.waits_for);
    memcpy(out_statistics, &statistics,
           statistics.struct_size < sizeof statistics ? statistics.struct_size : sizeof statistics);
}
