#include <string>
#include <vector>

#include "harness/contest.hpp"
#include "harness/inbox_chain.hpp"
#include "harness/machine.hpp"
#include "harness/node_queue.hpp"
#include "harness/ours.hpp"
#include "harness/ping_pong.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"
#include "peers/node_chains.hpp"
#include "peers/urcu_wfcqueue.hpp"

/** Many producers push nodes, one consumer takes all that is there. Each producer owns a window of
 *  nodes of 24-byte elements and waits, with 64 PAUSEs and then sched_yield, until the consumer has
 *  given one back. Layouts as in bench_mpsc_queue. */

namespace bench
{
namespace
{

constexpr Wait kWait = Wait::kYield;
using E = Element<24>;

struct Stream {
    StreamPlan plan;
    template <class Chain> Sample run(std::uint64_t items) const
    {
        return run_stream<kWait, NodeQueue<Chain, E>>(plan, items);
    }
};

struct Alone {
    std::size_t window;
    template <class Chain> Sample run(std::uint64_t pairs) const
    {
        return run_alone<NodeQueue<Chain, E>>(window, pairs);
    }
};

template <class Test> std::vector<Contestant> contestants(const Test &test)
{
    Table<Test> table(test);
    table.template ours<InboxChain>()
        .template ours<OpaqueChain<UrcuChain<true>>>(UrcuChain<true>::kName, Role::kPeer)
        .template ours<OpaqueChain<UrcuChain<false>>>(UrcuChain<false>::kName, Role::kPeer)
        .template ours<OpaqueChain<XeniumMichaelScottChain>>(XeniumMichaelScottChain::kName,
                                                             Role::kPeer)
        .template ours<OpaqueChain<XeniumRamalheteChain>>(XeniumRamalheteChain::kName, Role::kPeer)
        .template ours<OpaqueChain<MoodycamelChain>>(MoodycamelChain::kName, Role::kPeer)
        .template inlined<UrcuChain<true>>()
        .template inlined<MoodycamelChain>()
        .template ours<OpaqueChain<MutexChain>>(MutexChain::kName, Role::kBefore);
    return table.take();
}

Case stream(const std::string &layout, const std::vector<int> &producers, std::size_t window,
            std::size_t list)
{
    const std::string what = list == 1 ? " one by one" : " lists of " + std::to_string(list);
    return {layout + what + ", 24 B, window " + std::to_string(window),
            {items_goal(1.0)},
            contestants(Stream{{window, list, producers, 1}})};
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const std::size_t window : {std::size_t{1024}, std::size_t{65536}}) {
        for (const std::size_t list : {std::size_t{1}, std::size_t{16}}) {
            cases.push_back(stream("one producer", {0}, window, list));
            cases.push_back(stream("mp2", {0, 1}, window, list));
            cases.push_back(stream("mp2b", {0, 0}, window, list));
        }
    }
    cases.push_back({"one thread, push and take, 24 B, window 1024",
                     {metric(kNs, "ns_per_pair", kNone)},
                     contestants(Alone{1024})});
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_inbox", BENCH_PEER_VERSIONS, bench::make_cases);
}
