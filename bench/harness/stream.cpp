#include "harness/stream.hpp"

#include <algorithm>

namespace bench
{

void account(Sample &sample, const std::vector<ThreadSpan> &spans)
{
    for (int cpu = 0; cpu < 2; ++cpu) {
        std::uint64_t start = UINT64_MAX, end = 0, used = 0, involuntary = 0, threads = 0;
        for (const ThreadSpan &span : spans) {
            if (span.cpu != cpu)
                continue;
            start = std::min(start, span.start_ns);
            end = std::max(end, span.end_ns);
            used += span.used.cpu_ns;
            involuntary += span.used.involuntary;
            ++threads;
        }
        if (threads == 0)
            continue;
        const std::uint64_t wall = end - start;
        sample.taken_ns += wall > used ? wall - used : 0;
        if (threads == 1)
            sample.involuntary += involuntary; /* sharing a processor is switching */
    }
}

} // namespace bench
