#ifndef FLETCHING_AGENT_STATISTICS_H
#define FLETCHING_AGENT_STATISTICS_H

#include <fletching/agent.h>

FLETCH_BEGIN_DECLS

/** What an agent is doing. */
enum fletch_agent_state {
    FLETCH_AGENT_WAITS = 0,             /* for messages */
    FLETCH_AGENT_HANDLES = 1,           /* is in one of its functions */
    FLETCH_AGENT_WAITS_FOR_ROOM = 2,    /* in the link to `waits_for` */
    FLETCH_AGENT_WAITS_FOR_REPLIES = 3, /* request_limit requests are open */
    FLETCH_AGENT_WAITS_FOR_BARRIER = 4, /* of `waits_for`, or of its intake */
    FLETCH_AGENT_ENDED = 5
};

struct fletch_agent_counts {
    size_t struct_size;
    enum fletch_agent_state state;
    char waits_for[FLETCH_AGENT_NAME_BYTES]; /* empty: nobody in particular */
    uint64_t messages;                       /* that it has handled */
    uint64_t emitted;                        /* batches and requests that have left */
    uint64_t replied;                        /* replies that have left */
    uint64_t replies_late;                   /* of those, nobody waited for any more */
    uint64_t requests_expired;               /* its own, without a reply in time */
    uint64_t restarts;
    uint64_t dead_letters;
    uint64_t barrier; /* the last one that it has passed; UINT64_MAX: ended */
};

/** Writes the first `out_statistics->struct_size` bytes of them; they may lag behind. Any thread;
 *  wait-free. */
FLETCH_EXPORT void fletch_agent_statistics(const struct fletch_agent *agent,
                                           struct fletch_agent_counts *out_statistics);

FLETCH_END_DECLS

#endif
