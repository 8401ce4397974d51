#include <string>

#include "harness/bare_ring.hpp"
#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/ours.hpp"
#include "harness/ping_pong.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"
#include "peers/atomic_queue.hpp"
#include "peers/boost_lockfree.hpp"
#include "peers/ck_ring.hpp"
#include "peers/dpdk_ring.hpp"
#include "peers/moodycamel_queues.hpp"
#include "peers/mutex_queue.hpp"
#include "peers/xenium_queue.hpp"

/** One producer, one consumer: streams one by one and in batches, latency, one thread alone. */

namespace bench
{
namespace
{

constexpr Wait kWait = Wait::kPause;

template <class E> using Ours = FletchSpscRing<E, FLETCH_RING_SLOT_SEQUENCE>;
template <class E> using DpdkSingle = DpdkRing<E, DpdkMode::kSingle>;
template <class E> using DpdkHeadTailSync = DpdkRing<E, DpdkMode::kManyHeadTailSync>;

struct Stream {
    StreamPlan plan;
    template <class Queue> Sample run(std::uint64_t items) const
    {
        return run_stream<kWait, Queue>(plan, items);
    }
};

struct PingPong {
    std::size_t capacity;
    template <class Queue> Sample run(std::uint64_t rounds) const
    {
        return run_ping_pong<Wait::kBare, Queue>(capacity, rounds);
    }
};

struct Alone {
    std::size_t capacity;
    template <class Queue> Sample run(std::uint64_t pairs) const
    {
        return run_alone<Queue>(capacity, pairs);
    }
};

template <class Ring> Floors stream_floors(const StreamPlan &plan)
{
    Floors floors = {{"bare ring, inlined, no promises", bare_rate<kWait, Ring>(plan)}};
    for (const std::size_t chunk : {64, 256, 1024}) {
        const std::size_t bytes = sizeof(typename Ring::Value);
        const Spread rate = spread_of(
            {stream_floor(chunk, bytes), stream_floor(chunk, bytes), stream_floor(chunk, bytes)});
        floors.emplace_back("stream in chunks of " + std::to_string(chunk) + " B", rate.median);
    }
    return floors;
}

template <class E> Floors alone_floor(std::size_t capacity)
{
    constexpr std::uint64_t kPairs = 200000;
    using Ring = BareRing<E, false>;
    const double ns = run_alone<Ring>(capacity, kPairs).values[0];
    return {{"bare ring, inlined, no promises", ns}};
}

Floors line_floor()
{
    return {{"one cache line one way", line_latency_ns()}};
}

std::string title(const char *what, std::size_t bytes, std::size_t capacity)
{
    return std::string(what) + ", " + std::to_string(bytes) + " B, capacity " +
           std::to_string(capacity);
}

/** Peers of any element size, for tests of single calls. */
template <class E, unsigned kCapacity, class Test> void add_single_peers(Table<Test> &table)
{
    table.template peer<BoostSpscQueue<E>>()
        .template peer<CkRing<E, false>>()
        .template peer<DpdkSingle<E>>()
        .template peer<MoodycamelReaderWriterQueue<E>>()
        .template peer<XeniumVyukovQueue<E>>()
        .template peer<AtomicQueue<E, kCapacity, true, false>>()
        .template peer<AtomicQueue<E, kCapacity, true, true>>();
    if constexpr (sizeof(E) == 8) {
        table.template peer<AtomicQueueOfWords<E, kCapacity, true, false>>()
            .template peer<AtomicQueueOfWords<E, kCapacity, true, true>>();
    }
}

template <class E, unsigned kCapacity, class Test> void add_inlined(Table<Test> &table)
{
    table.template inlined<BoostSpscQueue<E>>()
        .template inlined<XeniumVyukovQueue<E>>()
        .template inlined<AtomicQueue<E, kCapacity, true, true>>();
}

template <class E, unsigned kCapacity> Case single(double goal, double before_goal)
{
    const StreamPlan plan = {kCapacity, 1, {0}, 1};
    Table<Stream> table(Stream{plan});
    table.ours<Ours<E>>();
    add_single_peers<E, kCapacity>(table);
    add_inlined<E, kCapacity>(table);
    table.before<MutexQueue<E>>();
    Case out = {title("one by one", sizeof(E), kCapacity), {items_goal(goal)}, table.take()};
    out.before_goal = before_goal;
    out.floors = [plan] { return stream_floors<BareRing<E, false>>(plan); };
    return out;
}

template <class E, unsigned kCapacity> Case batches(std::size_t batch, double goal)
{
    const StreamPlan plan = {kCapacity, batch, {0}, 1};
    Table<Stream> table(Stream{plan});
    table.ours<FletchSpscRingInPlace<E>>()
        .template ours<FletchSpscRing<E, FLETCH_RING_CURSOR>>("fletching, copied", Role::kReference)
        .template ours<Ours<E>>("fletching, slot sequence, copied", Role::kReference)
        .template peer<BoostSpscQueue<E>>()
        .template peer<DpdkSingle<E>>()
        .template peer<DpdkRingInPlace<E>>()
        .template peer<DpdkHeadTailSync<E>>()
        .template peer<CkRing<E, false>>()
        .template peer<MoodycamelReaderWriterQueue<E>>()
        .template peer<XeniumVyukovQueue<E>>()
        .template peer<AtomicQueue<E, kCapacity, true, true>>()
        .template inlined<DpdkRingInPlace<E>>()
        .template inlined<BoostSpscQueue<E>>()
        .template before<MutexQueue<E>>();
    Case out = {title(("batches of " + std::to_string(batch)).c_str(), sizeof(E), kCapacity),
                {items_goal(goal)},
                table.take()};
    out.floors = [plan] { return stream_floors<BareBatches<E>>(plan); };
    return out;
}

template <class E> Case latency()
{
    constexpr unsigned kCapacity = 1024;
    Table<PingPong> table(PingPong{kCapacity});
    table.ours<Ours<E>>().template ours<FletchSpscRing<E, FLETCH_RING_CURSOR>>("fletching cursor",
                                                                               Role::kReference);
    add_single_peers<E, kCapacity>(table);
    add_inlined<E, kCapacity>(table);
    table.before<MutexQueue<E>>();
    Case out = {
        title("latency one way", sizeof(E), kCapacity),
        {metric(kNs, "p50_ns", 1.0), metric(kNs, "p99_ns", 1.0), metric(kNs, "mean_ns", kNone)},
        table.take()};
    out.floors = line_floor;
    out.items_max = 400000;
    return out;
}

template <class E> Case alone()
{
    constexpr unsigned kCapacity = 1024;
    Table<Alone> table(Alone{kCapacity});
    table.ours<Ours<E>>().template ours<FletchSpscRing<E, FLETCH_RING_CURSOR>>("fletching cursor",
                                                                               Role::kReference);
    add_single_peers<E, kCapacity>(table);
    add_inlined<E, kCapacity>(table);
    table.before<MutexQueue<E>>();
    Case out = {title("one thread, push and pop", sizeof(E), kCapacity),
                {metric(kNs, "ns_per_pair", 0.5, 10.0)},
                table.take()};
    out.floors = [] { return alone_floor<E>(kCapacity); };
    out.seconds = 0.02;
    return out;
}

std::vector<Case> make_cases()
{
    using E8 = Element<8>;
    using E24 = Element<24>;
    using E64 = Element<64>;
    using E256 = Element<256>;
    return {single<E24, 1024>(3.0, 10.0),
            single<E24, 65536>(2.5, 10.0),
            single<E8, 1024>(1.0, kNone),
            single<E64, 1024>(1.0, kNone),
            single<E256, 1024>(1.0, kNone),
            batches<E24, 1024>(16, 2.0),
            batches<E24, 65536>(16, 2.0),
            batches<E24, 1024>(64, 1.1),
            batches<E24, 65536>(64, 1.1),
            batches<E64, 1024>(16, 1.0),
            batches<E256, 1024>(16, 1.0),
            latency<E24>(),
            latency<E8>(),
            alone<E24>(),
            alone<E8>()};
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_spsc_ring", BENCH_PEER_VERSIONS,
                              bench::make_cases);
}
