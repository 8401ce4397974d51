#ifndef BENCH_HARNESS_CONTEST_HPP
#define BENCH_HARNESS_CONTEST_HPP

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "harness/options.hpp"
#include "harness/sample.hpp"

/** Cases, who takes part in them, and how the runs are interleaved, repeated and judged. */

namespace bench
{

inline constexpr double kNone = NAN;

struct Metric {
    const char *name;
    bool higher_is_better;
    double goal;  /* of the ratio to the best peer; kNone: no goal */
    double limit; /* of our own figure; kNone: no limit */
};

inline constexpr Metric kItems = {"items_per_second", true, kNone, kNone};
inline constexpr Metric kNs = {"ns", false, kNone, kNone};
Metric metric(Metric base, const char *name, double goal, double limit = kNone);
Metric items_goal(double goal);

enum class Role {
    kOurs,
    kPeer,      /* may be the best peer */
    kReference, /* printed beside: inlined peers, other forms of ours, halting cores */
    kBefore     /* what it replaces: a ratio of its own */
};

struct Contestant {
    std::string name;
    Role role;
    std::function<Sample(std::uint64_t items)> run;
};

using Floors = std::vector<std::pair<std::string, double>>;

struct Case {
    std::string name;
    std::vector<Metric> metrics; /* of Sample::values, in their order */
    std::vector<Contestant> contestants;
    double before_goal = kNone;
    std::function<Floors()> floors = nullptr;
    double seconds = 0.04;              /* of one run, in full mode: short, as placement changes */
    std::uint64_t items_max = 50000000; /* of one run */
};

/** Median, least and greatest. */
struct Spread {
    double median = kNone, min = kNone, max = kNone;
};
Spread spread_of(std::vector<double> values);

/** What a contestant did in a case, by rounds. */
struct Record {
    const Contestant *contestant;
    std::uint64_t items = 0;
    std::vector<Sample> samples;
};

struct Standing {
    std::string name;
    Role role;
    Spread spread;
    Spread ratio;   /* ours against this one: above 1, we win */
    bool disturbed; /* fewer than three clean runs where the processors mostly were */
};

struct Result {
    const Case *which;
    Metric metric;
    std::vector<Standing> standings; /* ours first, then as in the case */
    int best_peer = -1;              /* the one with the least ratio */
    Floors floors;
    double line_ns = kNone;
    const char *placement = ""; /* of most runs; the others do not count, if enough are left */
    bool mixed = false;
    double others_ms = 0;
    std::uint64_t involuntary = 0;
    bool met = true;
};

/** Runs one case. False: a contestant was wrong, and `out` says nothing. */
bool run_case(const Case &which, const Options &options, std::vector<Result> &out);

/** A benchmark program: parses, runs, prints. Returns the exit status. */
int run_program(int argc, char **argv, const char *name, const std::string &peers,
                const std::function<std::vector<Case>()> &make_cases);

} // namespace bench

#endif
