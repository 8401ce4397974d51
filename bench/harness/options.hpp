#ifndef BENCH_HARNESS_OPTIONS_HPP
#define BENCH_HARNESS_OPTIONS_HPP

#include <cstdint>
#include <string>

namespace bench
{

struct Options {
    bool json = false;
    bool quick = false;
    bool list = false;
    unsigned runs = 0;      /* parse_options fills in the default */
    std::uint64_t seed = 1; /* of the order in which the contestants of a round run */
    std::string only;       /* run the cases whose names contain this */
};

enum class Parsed { kRun, kHelp, kWrong };

/** Answers what to do; prints the help or the complaint. */
Parsed parse_options(int argc, char **argv, Options &out);

} // namespace bench

#endif
