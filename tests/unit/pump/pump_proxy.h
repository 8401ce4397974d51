#ifndef FLETCH_TESTS_UNIT_PUMP_PUMP_PROXY_H
#define FLETCH_TESTS_UNIT_PUMP_PUMP_PROXY_H

/* Stands between a client and a server on this host, and cuts their connections on demand. */

#include "base/atomic.h"
#include "base/thread.h"

enum { PROXY_PAIRS_MOST = 16 };

struct pump_proxy {
    char location[64]; /* for clients */
    uint16_t target;   /* port of the server */
    int listener;
    int pairs[PROXY_PAIRS_MOST][2];
    uint32_t pair_count;
    int forgotten[2 * PROXY_PAIRS_MOST];
    uint32_t forgotten_count;
    _Atomic uint64_t cut_after; /* bytes that go through before all is cut; 0: never */
    _Atomic uint32_t refuses;   /* new connections are closed at once */
    _Atomic uint32_t holds;     /* nothing goes through, and nobody is told */
    _Atomic uint32_t forgets;   /* the same for the connections there are; once */
    _Atomic uint32_t cuts;
    _Atomic uint32_t stops;
    struct fletch_thread thread;
};

void pump_proxy_start(struct pump_proxy *proxy, uint16_t target);
void pump_proxy_end(struct pump_proxy *proxy);

#endif
