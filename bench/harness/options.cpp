#include "harness/options.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench
{
namespace
{

void print_help(const char *program)
{
    std::printf(
        "usage: %s [--json] [--quick] [--runs N] [--case TEXT] [--seed N] [--list]\n"
        "\n"
        "  --json       one JSON object for each result line\n"
        "  --quick      the same cases and peers, each run a tenth as long\n"
        "  --runs N     interleaved runs of each contestant, 5 to 99 (default 9; 5 if quick)\n"
        "  --case TEXT  only cases whose names contain TEXT\n"
        "  --seed N     seed of the order within a round (default 1)\n"
        "  --list       print the cases' names\n"
        "  --help       print this\n"
        "\n"
        "Exit status: 0 all ran and every check held, 1 a contestant was wrong or the\n"
        "machine will not do, 2 a bad option.\n",
        program);
}

bool parse_number(const char *text, std::uint64_t low, std::uint64_t high, std::uint64_t &out)
{
    char *end = nullptr;
    errno = 0;
    const unsigned long long value = std::strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
        return false;
    out = value;
    return value >= low && value <= high;
}

/** Options that take a value. False: not one of them, or its value is bad. */
bool parse_valued(const char *name, const char *value, Options &out)
{
    std::uint64_t number;
    if (std::strcmp(name, "--runs") == 0 && parse_number(value, 5, 99, number)) {
        out.runs = static_cast<unsigned>(number);
        return true;
    }
    if (std::strcmp(name, "--seed") == 0 && parse_number(value, 0, UINT64_MAX, number)) {
        out.seed = number;
        return true;
    }
    if (std::strcmp(name, "--case") == 0) {
        out.only = value;
        return true;
    }
    return false;
}

} // namespace

Parsed parse_options(int argc, char **argv, Options &out)
{
    for (int i = 1; i < argc; ++i) {
        const char *name = argv[i];
        if (std::strcmp(name, "--json") == 0) {
            out.json = true;
        } else if (std::strcmp(name, "--quick") == 0) {
            out.quick = true;
        } else if (std::strcmp(name, "--list") == 0) {
            out.list = true;
        } else if (std::strcmp(name, "--help") == 0) {
            print_help(argv[0]);
            return Parsed::kHelp;
        } else if (i + 1 < argc && parse_valued(name, argv[i + 1], out)) {
            ++i;
        } else {
            std::fprintf(stderr,
                         "%s: option '%s' is unknown, or its value is missing or bad; "
                         "see --help\n",
                         argv[0], name);
            return Parsed::kWrong;
        }
    }
    if (out.runs == 0)
        out.runs = out.quick ? 5 : 9;
    return Parsed::kRun;
}

} // namespace bench
