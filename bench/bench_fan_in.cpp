#include <string>
#include <vector>

#include "harness/bare_lanes.hpp"
#include "harness/contest.hpp"
#include "harness/ours.hpp"
#include "harness/ping_pong.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"
#include "peers/mpsc_peers.hpp"

/** Registered producers, one consumer: a lane for each, against queues that producers share. The
 *  threads lie and wait as in bench_mpsc_queue. The capacity is that of a lane, which is what one
 *  producer can fill; the queues that are shared have as much as all lanes together. Batches go
 *  through lanes of the form that is for them. */

namespace bench
{
namespace
{

constexpr Wait kWait = Wait::kYield;
constexpr std::size_t kSmall = 1024, kLarge = 65536;

using E24 = Element<24>;

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

/** What bare lanes do: inlined into the loops, and called as everybody else is. */
Floors bare_floors(const StreamPlan &plan)
{
    using Singles = BareLanes<BareRing<E24, false>>;
    using Batches = BareLanes<BareBatches<E24>>;
    const bool single = plan.batch == 1;
    return {{"bare lanes, inlined, no promises",
             single ? bare_rate<kWait, Singles>(plan) : bare_rate<kWait, Batches>(plan)},
            {"bare lanes, called, no promises", single ? bare_rate<kWait, Called<Singles>>(plan)
                                                       : bare_rate<kWait, Called<Batches>>(plan)}};
}

std::string title(const std::string &what, std::size_t capacity)
{
    return what + ", 24 B, capacity " + std::to_string(capacity) + " a producer";
}

/** mp2: producers on both processors, the consumer beside the second; else both on the first, the
 *  consumer alone. */
Case stream(bool mp2, std::size_t capacity, std::size_t batch, double goal)
{
    const std::vector<int> producers = mp2 ? std::vector<int>{0, 1} : std::vector<int>{0, 0};
    const StreamPlan plan = {capacity * producers.size(), batch, producers, 1};
    Table<Stream> table(Stream{plan});
    using Slots = FletchFanIn<E24>;
    using Cursors = FletchFanIn<E24, FLETCH_RING_CURSOR>;
    if (batch == 1)
        table.ours<Slots>().ours<Cursors>(Cursors::kName, Role::kReference);
    else
        table.ours<Cursors>().ours<Slots>(Slots::kName, Role::kReference);
    add_mpsc_peers<E24>(table);
    if (mp2)
        add_ordered_mpsc_peers<E24>(table);
    table.ours<FletchMpscQueue<E24>>("fletching mpsc_queue", Role::kReference)
        .ours<FletchFanInBesideIdle<E24, 62>>(FletchFanInBesideIdle<E24, 62>::kName,
                                              Role::kReference)
        .before<MutexQueue<E24>>();
    const std::string what = std::string(mp2 ? "mp2" : "mp2b") +
                             (batch == 1 ? " one by one" : " batches of " + std::to_string(batch));
    Case out = {title(what, capacity), {items_goal(goal)}, table.take()};
    out.floors = [plan] { return bare_floors(plan); };
    return out;
}

Case single(std::size_t capacity)
{
    Table<Stream> table(Stream{{capacity, 1, {0}, 1}});
    table.ours<FletchFanIn<E24>>();
    add_mpsc_peers<E24>(table);
    table.ours<FletchSpscRing<E24, FLETCH_RING_DEFAULT>>("fletching spsc_ring", Role::kReference);
    return {title("one producer, one by one", capacity), {items_goal(kNone)}, table.take()};
}

Case latency()
{
    Table<PingPong> table(PingPong{kSmall});
    table.ours<FletchFanIn<E24>>();
    add_mpsc_peers<E24>(table);
    Case out = {
        title("latency one way", kSmall),
        {metric(kNs, "p50_ns", kNone), metric(kNs, "p99_ns", kNone), metric(kNs, "mean_ns", kNone)},
        table.take()};
    out.items_max = 400000;
    return out;
}

Case alone()
{
    Table<Alone> table(Alone{kSmall});
    table.ours<FletchFanIn<E24>>();
    add_mpsc_peers<E24>(table);
    Case out = {title("one thread, push and pop", kSmall),
                {metric(kNs, "ns_per_pair", kNone)},
                table.take()};
    out.seconds = 0.02;
    return out;
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const bool mp2 : {true, false})
        for (const std::size_t capacity : {kSmall, kLarge}) {
            cases.push_back(stream(mp2, capacity, 1, capacity == kSmall ? 2.0 : 2.5));
            cases.push_back(stream(mp2, capacity, 16, 1.2));
        }
    cases.push_back(single(kSmall));
    cases.push_back(latency());
    cases.push_back(alone());
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_fan_in", BENCH_PEER_VERSIONS, bench::make_cases);
}
