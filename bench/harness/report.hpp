#ifndef BENCH_HARNESS_REPORT_HPP
#define BENCH_HARNESS_REPORT_HPP

#include <string>

#include "harness/contest.hpp"

namespace bench
{

/** What ran where, with which versions: to stdout, or to stderr beside JSON. */
void print_header(const Options &options, const char *bench, const std::string &peers);

/** A table for people, or one JSON object on one line. */
void print_result(const Options &options, const char *bench, const Result &result);

} // namespace bench

#endif
