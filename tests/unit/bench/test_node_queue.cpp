#include <cstddef>
#include <memory>

#include "harness/element.hpp"
#include "harness/inbox_chain.hpp"
#include "harness/node_queue.hpp"

extern "C" {
#include "support/cmocka_tests.h"
}

/* The queues that benchmarks make of a chain of nodes, with ours as the chain. */

namespace
{

constexpr std::size_t kCapacity = 1024;
using E = bench::Element<24>;
using Queue = bench::NodeQueue<bench::InboxChain, E>;

/* A queue with its ends, as a run of a benchmark has it. Not on the stack, which does not always
 * have the alignment under AddressSanitizer. */
struct Run {
    Queue queue{bench::Shape{kCapacity, 1}};
    Queue::Producer producer{queue, 0};
    Queue::Consumer consumer{queue};
};

void push(Run &run, std::size_t first, std::size_t count)
{
    for (std::size_t i = first; i < first + count; ++i) {
        E element;
        bench::write(element, 0, i);
        assert_true(run.producer.push(element));
    }
}

void elements_come_in_order_and_their_nodes_back(void **)
{
    const auto run = std::make_unique<Run>();
    bench::Checker<24, true> checker;
    constexpr std::size_t kLaps = 3;
    for (std::size_t lap = 0; lap < kLaps; ++lap) {
        push(*run, lap * kCapacity, kCapacity);
        E element;
        assert_false(run->producer.push(element));
        while (run->consumer.pop(element))
            checker.see(element);
    }
    assert_true(checker.right(1, kLaps * kCapacity));
}

/* The chain that ends links what it still holds anew, so the nodes outlive it. */
void a_queue_ends_with_elements_in_it(void **)
{
    auto run = std::make_unique<Run>();
    push(*run, 0, kCapacity / 2);
    E element;
    assert_true(run->consumer.pop(element));
    push(*run, kCapacity / 2, kCapacity / 4);
    run.reset();
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_in_order_and_their_nodes_back),
        cmocka_unit_test(a_queue_ends_with_elements_in_it),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
