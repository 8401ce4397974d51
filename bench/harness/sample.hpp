#ifndef BENCH_HARNESS_SAMPLE_HPP
#define BENCH_HARNESS_SAMPLE_HPP

#include <cstddef>
#include <cstdint>

namespace bench
{

inline constexpr std::size_t kMetricsMax = 3;

/** One timed run of one contestant. */
struct Sample {
    double values[kMetricsMax] = {0, 0, 0}; /* as the case's metrics say */
    std::uint64_t at_ns = 0;                /* when it was, to find runs close to each other */
    double seconds = 0;                     /* that the clock ran */
    std::uint64_t taken_ns = 0;             /* of our processors' time, by others */
    std::uint64_t involuntary = 0; /* switches of threads that have a processor of their own */
    bool right = false;            /* the work was checked and nothing was missing or wrong */
    double line_ns = 0;            /* one way of a line, mean of before and after */
    bool disturbed = false;
    bool moved = false; /* the processors were not where they had been before the run */
};

} // namespace bench

#endif
