#include "harness/report.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include <fletching/version.h>

#include "harness/machine.hpp"

namespace bench
{
namespace
{

/** Items a second are shown in millions. */
double shown(const Metric &metric, double value)
{
    return metric.higher_is_better ? value * 1e-6 : value;
}

std::string number(double value)
{
    if (std::isnan(value))
        return "null";
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string quoted(const std::string &text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string spread_members(const Spread &spread)
{
    return "\"median\":" + number(spread.median) + ",\"min\":" + number(spread.min) +
           ",\"max\":" + number(spread.max);
}

std::string ratio_members(const Spread &ratio)
{
    return "\"ratio\":" + number(ratio.median) + ",\"ratio_min\":" + number(ratio.min) +
           ",\"ratio_max\":" + number(ratio.max);
}

std::string standing_object(const Standing &standing)
{
    return "{" + spread_members(standing.spread) + "," + ratio_members(standing.ratio) +
           ",\"disturbed\":" + (standing.disturbed ? "true" : "false") + "}";
}

const Standing *find_before(const Result &result)
{
    for (const Standing &standing : result.standings) {
        if (standing.role == Role::kBefore)
            return &standing;
    }
    return nullptr;
}

std::string peers_object(const Result &result)
{
    std::string out;
    for (const Standing &standing : result.standings) {
        if (standing.role != Role::kPeer && standing.role != Role::kReference)
            continue;
        out += (out.empty() ? "" : ",") + quoted(standing.name) + ":" + standing_object(standing);
    }
    return "{" + out + "}";
}

std::string floors_object(const Result &result)
{
    std::string out;
    for (const auto &[name, value] : result.floors)
        out += (out.empty() ? "" : ",") + quoted(name) + ":" + number(value);
    return "{" + out + "}";
}

std::string before_object(const Result &result)
{
    const Standing *before = find_before(result);
    if (before == nullptr)
        return "null";
    return "{\"name\":" + quoted(before->name) + "," + spread_members(before->spread) + "," +
           ratio_members(before->ratio) + ",\"goal\":" + number(result.which->before_goal) + "}";
}

void print_json(const char *bench, const Result &result)
{
    const Standing &ours = result.standings[0];
    const Standing *best = result.best_peer < 0
                               ? nullptr
                               : &result.standings[static_cast<std::size_t>(result.best_peer)];
    std::string out = "{\"bench\":" + quoted(bench) + ",\"case\":" + quoted(result.which->name) +
                      ",\"metric\":" + quoted(result.metric.name) + ",\"better\":" +
                      (result.metric.higher_is_better ? "\"higher\"" : "\"lower\"");
    out += ",\"ours\":{" + spread_members(ours.spread) + "}";
    out += ",\"peers\":" + peers_object(result);
    out += ",\"best_peer\":" + (best == nullptr ? "null" : quoted(best->name));
    out += "," + ratio_members(best == nullptr ? Spread() : best->ratio);
    out += ",\"goal\":" + number(result.metric.goal);
    out += ",\"limit\":" + number(result.metric.limit);
    out += std::string(",\"met\":") + (result.met ? "true" : "false");
    out += ",\"floors\":" + floors_object(result) + ",\"before\":" + before_object(result);
    out += ",\"placement\":" + quoted(result.placement) +
           ",\"mixed\":" + (result.mixed ? "true" : "false") +
           ",\"line_ns\":" + number(result.line_ns);
    out += ",\"others_ms\":" + number(result.others_ms) +
           ",\"involuntary\":" + std::to_string(result.involuntary);
    const bool disturbed = ours.disturbed || (best != nullptr && best->disturbed);
    out += std::string(",\"disturbed\":") + (disturbed ? "true" : "false") + "}";
    std::printf("%s\n", out.c_str());
}

void print_standing(const Metric &metric, const Standing &standing, bool is_best)
{
    const char *kind = standing.role == Role::kOurs     ? "ours"
                       : standing.role == Role::kBefore ? "before"
                       : is_best                        ? "best"
                       : standing.role == Role::kPeer   ? ""
                                                        : "beside";
    std::printf("  %-7s %-38s %9.2f (%.2f..%.2f)%s", kind, standing.name.c_str(),
                shown(metric, standing.spread.median), shown(metric, standing.spread.min),
                shown(metric, standing.spread.max), standing.disturbed ? " d" : "");
    if (standing.role != Role::kOurs)
        std::printf("   ratio %.2f", standing.ratio.median);
    std::printf("\n");
}

/** Ours first, the others from best to worst. */
std::vector<std::size_t> order_of(const Result &result)
{
    std::vector<std::size_t> order(result.standings.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::stable_sort(order.begin() + 1, order.end(), [&](std::size_t a, std::size_t b) {
        const double left = result.standings[a].spread.median;
        const double right = result.standings[b].spread.median;
        return result.metric.higher_is_better ? left > right : left < right;
    });
    return order;
}

void print_goal(const char *what, const Spread &ratio, double goal)
{
    std::printf("  %-46s ratio %.2f (%.2f..%.2f)", what, ratio.median, ratio.min, ratio.max);
    if (!std::isnan(goal))
        std::printf("   goal %.2f   %s", goal, ratio.median >= goal ? "met" : "MISSED");
    std::printf("\n");
}

void print_table(const Result &result)
{
    const Metric &metric = result.metric;
    std::printf("\n%s   [%s, %s is better; %s%s, line %.0f ns, others %.1f ms]\n",
                result.which->name.c_str(),
                metric.higher_is_better ? "million items/s" : metric.name,
                metric.higher_is_better ? "more" : "less", result.placement,
                result.mixed ? " (mixed)" : "", result.line_ns, result.others_ms);
    for (const std::size_t i : order_of(result))
        print_standing(metric, result.standings[i], static_cast<int>(i) == result.best_peer);
    for (const auto &[name, value] : result.floors)
        std::printf("  floor   %-38s %9.2f\n", name.c_str(), shown(metric, value));
    if (result.best_peer >= 0) {
        const Standing &best = result.standings[static_cast<std::size_t>(result.best_peer)];
        print_goal(("=> to " + best.name).c_str(), best.ratio, metric.goal);
    }
    if (const Standing *before = find_before(result))
        print_goal(("=> to before: " + before->name).c_str(), before->ratio,
                   result.which->before_goal);
    if (!std::isnan(metric.limit)) {
        const double ours = result.standings[0].spread.median;
        std::printf("  => ours %.2f   limit %.2f   %s\n", ours, metric.limit,
                    ours <= metric.limit ? "met" : "MISSED");
    }
}

} // namespace

void print_header(const Options &options, const char *bench, const std::string &peers)
{
    std::FILE *out = options.json ? stderr : stdout;
    std::fprintf(out,
                 "%s: fletching %s, %s, compiler %s, processors %d and %d, seed %" PRIu64
                 ", %u runs%s; peers: %s\n",
                 bench, fletch_version(), describe_machine().c_str(), __VERSION__,
                 processors().cpu[0], processors().cpu[1], options.seed, options.runs,
                 options.quick ? ", quick" : "", peers.c_str());
    std::fprintf(out,
                 "one cache line one way: %.1f ns (under %.0f: near, threads of one core; from "
                 "%.0f: remote, no cache shared)\n",
                 line_latency_ns(), kFarFromNs, kRemoteFromNs);
}

void print_result(const Options &options, const char *bench, const Result &result)
{
    if (options.json)
        print_json(bench, result);
    else
        print_table(result);
    std::fflush(stdout);
}

} // namespace bench
