#ifndef BENCH_PEERS_MPSC_PEERS_HPP
#define BENCH_PEERS_MPSC_PEERS_HPP

#include "harness/table.hpp"
#include "peers/boost_lockfree.hpp"
#include "peers/ck_ring.hpp"
#include "peers/dpdk_ring.hpp"
#include "peers/moodycamel_queues.hpp"
#include "peers/mutex_queue.hpp"
#include "peers/tbb_queue.hpp"
#include "peers/urcu_wfcqueue.hpp"
#include "peers/xenium_queue.hpp"

/** Who takes part where several producers meet one consumer.
 *
 *  atomic_queue does not: with several producers it failed the check of the order in about half of
 *  the runs in mp2 and nearly all in mp2b. As its source reads, a slot counts as free once a pop
 *  has been promised it, so a producer that is suspended before it writes is overtaken. */

namespace bench
{

template <class E, class Test> void add_mpsc_peers(Table<Test> &table)
{
    table.template peer<XeniumVyukovQueue<E>>()
        .template peer<UrcuWfcqueue<E, false>>()
        .template peer<UrcuWfcqueue<E, true>>()
        .template peer<DpdkRing<E, DpdkMode::kManyHeadTailSync>>()
        .template peer<DpdkRing<E, DpdkMode::kManyRelaxedTailSync>>()
        .template peer<MoodycamelConcurrentQueue<E>>()
        .template peer<TbbBoundedQueue<E>>()
        .template peer<BoostQueue<E>>()
        .template inlined<XeniumVyukovQueue<E>>()
        .template inlined<UrcuWfcqueue<E, true>>();
}

/** Peers whose producers publish strictly in the order of their claims, waiting without end for the
 *  one before. Where two producers share a processor they convoy: each waits out its time slice for
 *  the other, for every element. So not in mp2b. */
template <class E, class Test> void add_ordered_mpsc_peers(Table<Test> &table)
{
    table.template peer<DpdkRing<E, DpdkMode::kMany>>().template peer<CkRing<E, true>>();
}

} // namespace bench

#endif
