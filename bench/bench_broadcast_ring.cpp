#include <string>
#include <vector>

#include "harness/bare_lanes.hpp"
#include "harness/broadcast.hpp"
#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/ours_broadcast.hpp"
#include "harness/table.hpp"
#include "peers/cursor_ring.hpp"
#include "peers/spsc_each.hpp"

/** One producer, one or two consumers that see everything, or a diamond of three. Where threads
 *  share a processor all wait with 64 PAUSEs and then sched_yield. */

namespace bench
{
namespace
{

using E24 = Element<24>;
constexpr std::size_t kSmall = 1024, kLarge = 65536;

template <Wait kWait> struct Broadcast {
    BroadcastShape shape;
    std::size_t batch;
    template <class Ring> Sample run(std::uint64_t items) const
    {
        return run_broadcast<kWait, Ring>(shape, batch, items);
    }
};

struct Goals {
    double textbook, boost;
};

template <Wait kWait, class Ring>
Contestant contestant(const Broadcast<kWait> &test, Role role,
                      const std::string &name = Ring::kName)
{
    return {name, role, [test](std::uint64_t items) { return test.template run<Ring>(items); }};
}

/** A case for each kind of peer, since each has a goal of its own. */
template <Wait kWait, bool kBatches>
void add(std::vector<Case> &cases, const BroadcastShape &shape, const std::string &what,
         const Goals &goals)
{
    using Ours = FletchBroadcast<E24, kBatches ? FLETCH_RING_CURSOR : FLETCH_RING_SLOT_SEQUENCE>;
    using Textbook = CursorRing<E24, kBatches>;
    using Each = BoostEach<E24>;
    const Broadcast<kWait> test = {shape, kBatches ? std::size_t{16} : std::size_t{1}};
    const std::string title = what + (kBatches ? " batches of 16" : " one by one") +
                              ", 24 B, capacity " + std::to_string(shape.capacity);
    Case textbook = {title + ", textbook", {items_goal(goals.textbook)}, {}};
    textbook.contestants = {
        contestant<kWait, Ours>(test, Role::kOurs),
        contestant<kWait, CalledBroadcast<Textbook>>(test, Role::kPeer),
        contestant<kWait, Textbook>(test, Role::kReference,
                                    std::string(Textbook::kName) + " (inlined)"),
    };
    if (kBatches) {
        using Slots = FletchBroadcast<E24, FLETCH_RING_SLOT_SEQUENCE>;
        textbook.contestants.push_back(
            contestant<kWait, Slots>(test, Role::kReference, "fletching, sequences in slots"));
    }
    if (!kBatches)
        textbook.floors = [shape] {
            using Bare = BareBroadcast<E24>;
            return Floors{
                {"bare ring, inlined, no promises", bare_broadcast_rate<kWait, Bare>(shape)},
                {"bare ring, called, no promises",
                 bare_broadcast_rate<kWait, CalledBroadcast<Bare>>(shape)}};
        };
    cases.push_back(std::move(textbook));
    Case boost = {title + ", Boost", {items_goal(goals.boost)}, {}};
    boost.contestants = {
        contestant<kWait, Ours>(test, Role::kOurs),
        contestant<kWait, CalledBroadcast<Each>>(test, Role::kPeer),
    };
    cases.push_back(std::move(boost));
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const std::size_t capacity : {kSmall, kLarge}) {
        add<Wait::kPause, false>(cases, {capacity, 1, false}, "1 to 1", {4.0, 1.6});
        add<Wait::kPause, true>(cases, {capacity, 1, false}, "1 to 1", {1.2, 1.6});
        add<Wait::kYield, false>(cases, {capacity, 2, false}, "1 to 2", {4.0, 1.6});
        add<Wait::kYield, true>(cases, {capacity, 2, false}, "1 to 2", {1.2, 1.6});
        add<Wait::kYield, false>(cases, {capacity, 3, true}, "diamond", {1.0, 1.0});
        add<Wait::kYield, true>(cases, {capacity, 3, true}, "diamond", {1.0, 1.0});
    }
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_broadcast_ring", BENCH_PEER_VERSIONS,
                              bench::make_cases);
}
