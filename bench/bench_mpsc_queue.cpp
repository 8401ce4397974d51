#include <string>
#include <vector>

#include "harness/bare_ring.hpp"
#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/ours.hpp"
#include "harness/ping_pong.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"
#include "peers/mpsc_peers.hpp"

/** Many producers, one consumer. With two processors some threads share one: "mp2" has its
 *  producers on both and the consumer beside the second, "mp2b" both producers on the first and the
 *  consumer alone. All wait with 64 PAUSEs and then sched_yield. */

namespace bench
{
namespace
{

constexpr Wait kWait = Wait::kYield;
constexpr std::size_t kSmall = 1024, kLarge = 65536;

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

enum class Layout { kMp2, kMp2b };

std::string title(const std::string &what, std::size_t bytes, std::size_t capacity)
{
    return what + ", " + std::to_string(bytes) + " B, capacity " + std::to_string(capacity);
}

template <class E> Case stream(Layout layout, std::size_t capacity, std::size_t batch, double goal)
{
    const bool shared = layout == Layout::kMp2;
    const std::vector<int> producers = shared ? std::vector<int>{0, 1} : std::vector<int>{0, 0};
    const StreamPlan plan = {capacity, batch, producers, 1};
    Table<Stream> table(Stream{plan});
    table.ours<FletchMpscQueue<E>>();
    add_mpsc_peers<E>(table);
    if (shared)
        add_ordered_mpsc_peers<E>(table);
    if (batch > 1)
        table.template inlined<DpdkRing<E, DpdkMode::kManyRelaxedTailSync>>();
    table.template before<MutexQueue<E>>();
    const std::string what = std::string(shared ? "mp2" : "mp2b") +
                             (batch == 1 ? " one by one" : " batches of " + std::to_string(batch));
    Case out = {title(what, sizeof(E), capacity), {items_goal(goal)}, table.take()};
    if (batch == 1)
        out.floors = [plan] {
            return Floors{{"bare ring, compare-and-swap, inlined, no promises",
                           bare_rate<kWait, BareRing<E, true>>(plan)}};
        };
    return out;
}

/** `threads` threads that wait as their queue waits, not pinned. One of them is the consumer. */
Case waiting(unsigned threads)
{
    using E = Element<24>;
    StreamPlan plan = {kSmall, 1, std::vector<int>(threads - 1, kAnyCpu), kAnyCpu, true};
    Table<Stream> table(Stream{std::move(plan)});
    table.awake<FletchMpscQueue<E, true>>("fletching", Role::kOurs)
        .awake<MutexQueue<E>>(MutexQueue<E>::kName, Role::kPeer)
        .awake<TbbBoundedQueue<E, true>>("oneTBB bounded queue", Role::kReference)
        .ours<FletchMpscQueue<E, true>>("fletching, cores may halt", Role::kReference)
        .ours<MutexQueue<E>>("mutex, cores may halt", Role::kReference);
    Case out = {title("waiting, " + std::to_string(threads) + " threads", sizeof(E), kSmall),
                {items_goal(1.0)},
                table.take()};
    out.seconds = 1.0; /* threads that are not pinned may start milliseconds apart */
    return out;
}

template <class E> Case latency()
{
    Table<PingPong> table(PingPong{kSmall});
    table.ours<FletchMpscQueue<E>>();
    add_mpsc_peers<E>(table);
    add_ordered_mpsc_peers<E>(table);
    Case out = {
        title("latency one way", sizeof(E), kSmall),
        {metric(kNs, "p50_ns", kNone), metric(kNs, "p99_ns", kNone), metric(kNs, "mean_ns", kNone)},
        table.take()};
    out.floors = [] { return Floors{{"one cache line one way", line_latency_ns()}}; };
    out.items_max = 400000;
    return out;
}

template <class E> Case alone()
{
    Table<Alone> table(Alone{kSmall});
    table.ours<FletchMpscQueue<E>>();
    add_mpsc_peers<E>(table);
    add_ordered_mpsc_peers<E>(table);
    Case out = {title("one thread, push and pop", sizeof(E), kSmall),
                {metric(kNs, "ns_per_pair", kNone)},
                table.take()};
    out.seconds = 0.02;
    return out;
}

std::vector<Case> make_cases()
{
    using E24 = Element<24>;
    std::vector<Case> cases;
    for (const Layout layout : {Layout::kMp2, Layout::kMp2b}) {
        for (const std::size_t capacity : {kSmall, kLarge}) {
            cases.push_back(stream<E24>(layout, capacity, 1, 1.0));
            cases.push_back(stream<E24>(layout, capacity, 16, 1.7));
        }
    }
    cases.push_back(stream<Element<8>>(Layout::kMp2, kSmall, 1, 1.0));
    cases.push_back(stream<Element<64>>(Layout::kMp2, kSmall, 1, 1.0));
    cases.push_back(stream<Element<256>>(Layout::kMp2, kSmall, 1, 1.0));
    for (const unsigned threads : {2u, 4u, 8u})
        cases.push_back(waiting(threads));
    cases.push_back(latency<E24>());
    cases.push_back(alone<E24>());
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_mpsc_queue", BENCH_PEER_VERSIONS,
                              bench::make_cases);
}
