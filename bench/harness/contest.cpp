#include "harness/contest.hpp"

#include <algorithm>
#include <cstdio>

#include "harness/machine.hpp"
#include "harness/report.hpp"

namespace bench
{
namespace
{

constexpr unsigned kTries = 3;
constexpr unsigned kRunsLeast = 5;
constexpr std::size_t kEnough = 3;
constexpr std::size_t kOursEvery = 4;
constexpr std::uint64_t kFirstItems = 256;
constexpr double kQuickShare = 0.1;

/** More of our processors' time gone than housekeeping explains. */
bool is_disturbed(const Sample &sample, std::uint64_t others_ns)
{
    const double wall_ns = sample.seconds * 1e9;
    return static_cast<double>(sample.taken_ns) > 1e6 + 0.04 * wall_ns ||
           static_cast<double>(others_ns) > 3e7 + 0.04 * wall_ns ||
           static_cast<double>(sample.involuntary) > 5 + 100 * sample.seconds;
}

Sample run_watched(const Contestant &contestant, std::uint64_t items)
{
    const double before = line_latency_ns();
    const OthersMeter others;
    Sample sample = contestant.run(items);
    const std::uint64_t others_ns = others.taken_ns();
    sample.at_ns = now_ns();
    const double after = line_latency_ns();
    sample.line_ns = (before + after) / 2;
    sample.moved = placement_of(before) != placement_of(after);
    sample.disturbed = sample.moved || is_disturbed(sample, others_ns);
    sample.taken_ns = std::max(sample.taken_ns, others_ns);
    return sample;
}

bool complain(const Case &which, const Contestant &contestant)
{
    std::fprintf(stderr, "case '%s': '%s' lost, repeated or reordered elements\n",
                 which.name.c_str(), contestant.name.c_str());
    return false;
}

/** The fastest of a few runs, or the first that is too short to judge by: threads that start late
 *  make a run long, and a count taken from such a run would measure the start for ever after. */
Sample calibration_run(const Record &record, std::uint64_t items, double long_enough)
{
    Sample best = record.contestant->run(items);
    for (int i = 1; i < 3 && best.right && best.seconds > long_enough; ++i) {
        const Sample again = record.contestant->run(items);
        if (!again.right || again.seconds < best.seconds)
            best = again;
    }
    return best;
}

/** Finds how many items take the wanted time. */
bool calibrate(const Case &which, double seconds, Record &record)
{
    std::uint64_t items = std::min<std::uint64_t>(kFirstItems, which.items_max);
    for (int i = 0; i < 5; ++i) {
        const Sample sample = calibration_run(record, items, seconds / 4);
        if (!sample.right)
            return complain(which, *record.contestant);
        const double factor = std::min(seconds / std::max(sample.seconds, 1e-7), 64.0);
        items = static_cast<std::uint64_t>(static_cast<double>(items) * factor);
        items = std::clamp<std::uint64_t>(items, 64, which.items_max);
        if (sample.seconds > seconds / 4)
            break;
    }
    record.items = items;
    return true;
}

/** Where the processors were in most of the runs that nothing disturbed. */
Placement usual_placement(const std::vector<Record> &records)
{
    unsigned counts[3] = {};
    for (const Record &record : records) {
        for (const Sample &sample : record.samples)
            counts[static_cast<int>(placement_of(sample.line_ns))] += sample.disturbed ? 1 : 100;
    }
    return static_cast<Placement>(std::max_element(counts, counts + 3) - counts);
}

/** Runs one contestant, again if it was disturbed or ran elsewhere than most. All runs are kept. */
bool run_once(const Case &which, const std::vector<Record> &records, Record &record,
              unsigned &repeats_left)
{
    for (unsigned i = 0; i < kTries; ++i) {
        record.samples.push_back(run_watched(*record.contestant, record.items));
        const Sample &sample = record.samples.back();
        if (!sample.right)
            return complain(which, *record.contestant);
        const bool good =
            !sample.disturbed && placement_of(sample.line_ns) == usual_placement(records);
        if (good || repeats_left == 0)
            break;
        --repeats_left;
    }
    return true;
}

/** Everybody once, ours again and again in between, so that each has one of ours close by. */
bool run_round(const Case &which, std::vector<Record> &records, std::size_t first,
               unsigned &repeats_left)
{
    for (std::size_t i = 0; i < records.size(); ++i) {
        Record &record = records[(first + i) % records.size()];
        const bool ours_too = i % kOursEvery == 0 && &record != &records[0];
        if (ours_too && !run_once(which, records, records[0], repeats_left))
            return false;
        if (!run_once(which, records, record, repeats_left))
            return false;
    }
    return true;
}

/** Which runs count: the clean ones with the processors where they mostly were; if there are too
 *  few of them, the disturbed ones there too; if that is too few, all. */
class Judge
{
  public:
    Judge(const std::vector<Record> &records, std::size_t metric_index, bool higher)
        : index_(metric_index), higher_(higher), placement_(usual_placement(records))
    {
    }

    Standing stand(const Record &ours, const Record &other) const
    {
        Standing standing = {other.contestant->name, other.contestant->role, {}, {}, false};
        const int level = std::max(level_of(ours), level_of(other));
        const std::vector<const Sample *> mine = choose(ours, level);
        const std::vector<const Sample *> theirs = choose(other, level);
        std::vector<double> values, ratios;
        for (const Sample *sample : theirs) {
            values.push_back(sample->values[index_]);
            ratios.push_back(ratio(*nearest(mine, sample->at_ns), *sample));
        }
        standing.disturbed = level > 0;
        standing.spread = spread_of(values);
        standing.ratio = spread_of(ratios);
        return standing;
    }

  private:
    static constexpr int kLevels = 3;

    bool counts(const Sample &sample, int level) const
    {
        const bool there = placement_of(sample.line_ns) == placement_;
        return level == 0 ? there && !sample.disturbed : level == 1 ? there : true;
    }
    std::vector<const Sample *> choose(const Record &record, int level) const
    {
        std::vector<const Sample *> chosen;
        for (const Sample &sample : record.samples) {
            if (counts(sample, level))
                chosen.push_back(&sample);
        }
        return chosen;
    }
    int level_of(const Record &record) const
    {
        int level = 0;
        while (level + 1 < kLevels && choose(record, level).size() < kEnough)
            ++level;
        return level;
    }
    static const Sample *nearest(const std::vector<const Sample *> &samples, std::uint64_t at_ns)
    {
        const auto distance = [at_ns](const Sample *sample) {
            return sample->at_ns > at_ns ? sample->at_ns - at_ns : at_ns - sample->at_ns;
        };
        return *std::min_element(
            samples.begin(), samples.end(),
            [&](const Sample *a, const Sample *b) { return distance(a) < distance(b); });
    }
    double ratio(const Sample &mine, const Sample &theirs) const
    {
        return higher_ ? mine.values[index_] / theirs.values[index_]
                       : theirs.values[index_] / mine.values[index_];
    }

    std::size_t index_;
    bool higher_;
    Placement placement_;
};

bool is_met(const Result &result)
{
    const Spread &ours = result.standings[0].spread;
    bool met = std::isnan(result.metric.limit) || ours.median <= result.metric.limit;
    if (!std::isnan(result.metric.goal) && result.best_peer >= 0) {
        const std::size_t best = static_cast<std::size_t>(result.best_peer);
        met = met && result.standings[best].ratio.median >= result.metric.goal;
    }
    for (const Standing &standing : result.standings) {
        if (standing.role == Role::kBefore && !std::isnan(result.which->before_goal))
            met = met && standing.ratio.median >= result.which->before_goal;
    }
    return met;
}

void describe_runs(Result &result, const std::vector<Record> &records)
{
    std::vector<double> lines;
    const Placement usual = usual_placement(records);
    bool mixed = false;
    for (const Record &record : records) {
        for (const Sample &sample : record.samples) {
            lines.push_back(sample.line_ns);
            mixed = mixed || placement_of(sample.line_ns) != usual;
            result.others_ms += static_cast<double>(sample.taken_ns) * 1e-6;
            result.involuntary += sample.involuntary;
        }
    }
    result.line_ns = spread_of(lines).median;
    result.placement = placement_name(usual);
    result.mixed = mixed;
}

Result judge(const Case &which, std::size_t index, const std::vector<Record> &records)
{
    Result result;
    result.which = &which;
    result.metric = which.metrics[index];
    const bool higher = result.metric.higher_is_better;
    const Judge judge(records, index, higher);
    for (const Record &record : records) {
        result.standings.push_back(judge.stand(records[0], record));
        if (record.contestant->role != Role::kPeer)
            continue;
        const int now = static_cast<int>(result.standings.size()) - 1;
        const double ratio = result.standings.back().ratio.median;
        if (result.best_peer < 0 ||
            ratio < result.standings[static_cast<std::size_t>(result.best_peer)].ratio.median)
            result.best_peer = now;
    }
    describe_runs(result, records);
    result.met = is_met(result);
    return result;
}

} // namespace

Metric metric(Metric base, const char *name, double goal, double limit)
{
    return {name, base.higher_is_better, goal, limit};
}

Metric items_goal(double goal)
{
    return metric(kItems, kItems.name, goal);
}

Spread spread_of(std::vector<double> values)
{
    if (values.empty())
        return {};
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    return {median, values.front(), values.back()};
}

bool run_case(const Case &which, const Options &options, std::vector<Result> &out)
{
    const double seconds = which.seconds * (options.quick ? kQuickShare : 1.0);
    std::vector<Record> records;
    for (const Contestant &contestant : which.contestants) {
        records.push_back({&contestant, 0, {}});
        if (!calibrate(which, seconds, records.back()))
            return false;
    }
    const double planned = seconds * static_cast<double>(records.size() * options.runs);
    const std::uint64_t late_ns = now_ns() + static_cast<std::uint64_t>((planned * 2 + 1) * 1e9);
    unsigned repeats_left = static_cast<unsigned>(records.size()) * options.runs / 2;
    for (unsigned round = 0; round < options.runs; ++round) {
        const bool late = now_ns() > late_ns; /* a busy machine: no more than was promised */
        repeats_left = late ? 0 : repeats_left;
        if (late && round >= kRunsLeast)
            break;
        if (!run_round(which, records, options.seed + round, repeats_left))
            return false;
    }
    const Floors floors = which.floors == nullptr ? Floors() : which.floors();
    for (std::size_t i = 0; i < which.metrics.size(); ++i) {
        out.push_back(judge(which, i, records));
        out.back().floors = floors;
    }
    return true;
}

int run_program(int argc, char **argv, const char *name, const std::string &peers,
                const std::function<std::vector<Case>()> &make_cases)
{
    Options options;
    const Parsed parsed = parse_options(argc, argv, options);
    if (parsed != Parsed::kRun)
        return parsed == Parsed::kHelp ? 0 : 2;
    const std::vector<Case> cases = make_cases();
    if (options.list) {
        for (const Case &which : cases)
            std::printf("%s\n", which.name.c_str());
        return 0;
    }
    Processors found;
    if (!find_processors(found)) {
        std::fprintf(stderr, "%s: needs two processors to run on, found fewer\n", name);
        return 1;
    }
    print_header(options, name, peers);
    bool right = true;
    for (const Case &which : cases) {
        if (which.name.find(options.only) == std::string::npos)
            continue;
        std::vector<Result> results;
        right = run_case(which, options, results) && right;
        for (const Result &result : results)
            print_result(options, name, result);
    }
    return right ? 0 : 1;
}

} // namespace bench
