#include <cstdio>
#include <cstring>

#include "harness/element.hpp"
#include "harness/ours.hpp"
#include "harness/stream.hpp"

/** Our rings, run as the programs of bench/peers/java and bench/peers/rust run theirs: orders from
 *  standard input, one a line, "<form> <test> <capacity> <batch> <items>"; one line of JSON for
 *  each. form: slots or cursors; test: spsc, mp2, or one that is answered with null. */

namespace
{

using E24 = bench::Element<24>;

/** In mp2 threads share a processor, and give it away at every 64th look. */
template <fletch_ring_form kForm>
bench::Sample run(const std::size_t capacity, const std::size_t batch, const bool mp2,
                  const std::uint64_t items)
{
    if (mp2) {
        const bench::StreamPlan plan = {2 * capacity, batch, {0, 1}, 1};
        return bench::run_stream<bench::Wait::kYield, bench::FletchFanIn<E24, kForm>>(plan, items);
    }
    const bench::StreamPlan plan = {capacity, batch, {0}, 1};
    return bench::run_stream<bench::Wait::kPause, bench::FletchSpscRing<E24, kForm>>(plan, items);
}

} // namespace

int main()
{
    char form[16], test[16];
    unsigned long capacity, batch, items;
    while (std::scanf("%15s %15s %lu %lu %lu", form, test, &capacity, &batch, &items) == 5) {
        const bool mp2 = std::strcmp(test, "mp2") == 0;
        if (!mp2 && std::strcmp(test, "spsc") != 0) {
            std::puts("{\"items_per_second\": null, \"right\": true}");
        } else {
            const bench::Sample sample =
                std::strcmp(form, "cursors") == 0
                    ? run<FLETCH_RING_CURSOR>(capacity, batch, mp2, items)
                    : run<FLETCH_RING_SLOT_SEQUENCE>(capacity, batch, mp2, items);
            std::printf("{\"items_per_second\": %.1f, \"right\": %s}\n", sample.values[0],
                        sample.right ? "true" : "false");
        }
        std::fflush(stdout);
    }
    return 0;
}
