#include <cstdio>
#include <string>

#include "harness/broadcast.hpp"
#include "harness/element.hpp"
#include "harness/ours.hpp"
#include "harness/ours_broadcast.hpp"
#include "harness/stream.hpp"

/** Our rings, run as the programs of bench/peers/java and bench/peers/rust run theirs: orders from
 *  standard input, one a line, "<ring> <test> <capacity> <batch> <items>"; one line of JSON for
 *  each. ring and test: spsc_ring spsc; fan_in or mpsc_queue mp2; broadcast_ring broadcast1 or
 *  broadcast2 (that many consumers), and for batches broadcast_ring_in_runs. One by one rings have
 *  their sequences in slots; in batches they have cursors, and are filled and read in place where
 *  they can be. Where threads share a processor (mp2, broadcast2) they give it away at every 64th
 *  look. */

namespace
{

using bench::Wait;
using E24 = bench::Element<24>;

/** A consumer reads as many as there are, up to a limit, and passes them at once, as that of the
 *  Disruptor does. */
class InRuns : public bench::FletchBroadcast<E24, FLETCH_RING_CURSOR>
{
    using Base = bench::FletchBroadcast<E24, FLETCH_RING_CURSOR>;
    static constexpr std::size_t kRun = 256;

  public:
    using Base::Base;

    class Consumer : public Base::Consumer
    {
      public:
        using Base::Consumer::Consumer;
        std::size_t peek(std::size_t, bench::Spans<E24> &spans)
        {
            return Base::Consumer::peek(kRun, spans);
        }
    };
};

struct Order {
    std::string ring, test;
    std::size_t capacity, batch;
    std::uint64_t items;
};

template <class Queue> bench::Sample from_one(const Order &order)
{
    return bench::run_stream<Wait::kPause, Queue>({order.capacity, order.batch, {0}, 1},
                                                  order.items);
}

template <class Queue> bench::Sample from_two(const Order &order)
{
    return bench::run_stream<Wait::kYield, Queue>({2 * order.capacity, order.batch, {0, 1}, 1},
                                                  order.items);
}

template <class Ring> bench::Sample to_all(const Order &order)
{
    if (order.test == "broadcast2")
        return bench::run_broadcast<Wait::kYield, Ring>({order.capacity, 2, false}, order.batch,
                                                        order.items);
    return bench::run_broadcast<Wait::kPause, Ring>({order.capacity, 1, false}, order.batch,
                                                    order.items);
}

using Run = bench::Sample (*)(const Order &);

struct Kind {
    const char *ring, *tests;
    Run one_by_one, in_batches;
};

const Kind kinds[] = {
    {"spsc_ring", "spsc", from_one<bench::FletchSpscRing<E24, FLETCH_RING_SLOT_SEQUENCE>>,
     from_one<bench::FletchSpscRingInPlace<E24>>},
    {"fan_in", "mp2", from_two<bench::FletchFanIn<E24, FLETCH_RING_SLOT_SEQUENCE>>,
     from_two<bench::FletchFanIn<E24, FLETCH_RING_CURSOR>>},
    {"mpsc_queue", "mp2", from_two<bench::FletchMpscQueue<E24>>,
     from_two<bench::FletchMpscQueue<E24>>},
    {"broadcast_ring", "broadcast1 broadcast2",
     to_all<bench::FletchBroadcast<E24, FLETCH_RING_SLOT_SEQUENCE>>,
     to_all<bench::FletchBroadcast<E24, FLETCH_RING_CURSOR>>},
    {"broadcast_ring_in_runs", "broadcast1 broadcast2", nullptr, to_all<InRuns>},
};

Run run_of(const Order &order)
{
    for (const Kind &kind : kinds)
        if (order.ring == kind.ring &&
            std::string(kind.tests).find(order.test) != std::string::npos)
            return order.batch == 1 ? kind.one_by_one : kind.in_batches;
    return nullptr;
}

} // namespace

int main()
{
    char ring[32], test[32];
    unsigned long capacity, batch, items;
    while (std::scanf("%31s %31s %lu %lu %lu", ring, test, &capacity, &batch, &items) == 5) {
        const Order order = {ring, test, capacity, batch, items};
        const Run run = run_of(order);
        if (run == nullptr) {
            std::puts("{\"items_per_second\": null, \"right\": true}");
        } else {
            const bench::Sample sample = run(order);
            std::printf("{\"items_per_second\": %.1f, \"right\": %s}\n", sample.values[0],
                        sample.right ? "true" : "false");
        }
        std::fflush(stdout);
    }
    return 0;
}
