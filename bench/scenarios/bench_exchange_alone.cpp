#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness/contest.hpp"
#include "harness/tables.hpp"

/** A whole shuffle in memory: two producers write batches, hashed by their first column into P
 *  partitions, two consumers read half of the partitions each and let go of what they read; a
 *  producer and a consumer on each of two processors. In bytes of Arrow data a second, from the
 *  first write to the last end. The floor copies the same bytes, half on each processor.
 *
 *  `--data FILE` takes the wide table from an Arrow IPC file instead of making it up: TPC-H's
 *  lineitem, say, whose widths the made up one has. */

namespace bench
{
namespace
{

constexpr std::size_t kBatches = 48;
constexpr unsigned kEnds = 2; /* producers, and consumers */

std::string data_path;

/** What is written: batches, with the bytes of their rows. */
struct Load {
    fletch_schema *schema;
    std::vector<fletch_batch *> batches;
    std::vector<std::uint64_t> rows;
    double row_bytes;
};

class Exchange
{
  public:
    Exchange(Load load, std::uint32_t partitions) : load_(std::move(load)), partitions_(partitions)
    {
        fletch_error error;
        fletch_transport_options options = {};
        options.struct_size = sizeof options;
        must(fletch_transport_create(&options, nullptr, &transport_, &error), error);
        for (fletch_buffer_cache *&cache : caches_)
            must(fletch_buffer_cache_open(fletch_transport_pool(transport_), &cache, &error),
                 error);
    }

    Sample run(std::uint64_t items)
    {
        register_shuffle();
        Gate gate(2 * kEnds);
        std::vector<ThreadSpan> spans(2 * kEnds);
        std::uint64_t written[kEnds] = {}, read[kEnds] = {};
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < kEnds; ++i) {
            threads.emplace_back(
                [&, i] { written[i] = produce(i, items / kEnds, gate, spans[i]); });
            threads.emplace_back([&, i] { read[i] = consume(i, gate, spans[kEnds + i]); });
        }
        for (std::thread &thread : threads)
            thread.join();
        fletch_shuffle_close(shuffle_);
        fletch_shuffle_release(shuffle_);
        return sample(spans, written[0] + written[1], read[0] + read[1]);
    }

  private:
    void register_shuffle()
    {
        static const std::uint32_t key = 0;
        fletch_error error;
        fletch_partitioner_options partitioner = {};
        partitioner.struct_size = sizeof partitioner;
        partitioner.partition_count = partitions_;
        partitioner.key_columns = &key;
        partitioner.key_column_count = 1;
        fletch_shuffle_options options = {};
        options.struct_size = sizeof options;
        options.name = "exchange";
        options.name_bytes = 8;
        options.schema = load_.schema;
        options.partitioner = &partitioner;
        options.producer_count = kEnds;
        must(fletch_shuffle_register(transport_, &options, &shuffle_, &error), error);
    }

    std::uint64_t produce(unsigned i, std::uint64_t rows, Gate &gate, ThreadSpan &span)
    {
        fletch_shuffle_writer *writer = nullptr;
        fletch_error error;
        std::uint64_t written = 0;
        pin(static_cast<int>(i));
        must(fletch_shuffle_writer_open(shuffle_, i, caches_[i], &writer, &error), error);
        gate.arrive_and_wait();
        SpanMeter meter;
        meter.start(static_cast<int>(i));
        for (std::size_t &at = next_[i]; written < rows; at = (at + 1) % load_.batches.size()) {
            must(fletch_shuffle_writer_write(writer, load_.batches[at], FLETCH_DEADLINE_DEFAULT,
                                             &error),
                 error);
            written += load_.rows[at];
        }
        must(fletch_shuffle_writer_end(writer, FLETCH_DEADLINE_DEFAULT, &error), error);
        span = meter.stop();
        fletch_shuffle_writer_close(writer);
        return written;
    }

    std::uint64_t consume(unsigned i, Gate &gate, ThreadSpan &span)
    {
        std::vector<std::uint32_t> mine;
        for (std::uint32_t p = i; p < partitions_; p += kEnds)
            mine.push_back(p);
        fletch_shuffle_reader_options options = {};
        options.struct_size = sizeof options;
        options.partitions = mine.data();
        options.partition_count = static_cast<std::uint32_t>(mine.size());
        options.cache = caches_[kEnds + i];
        fletch_shuffle_reader *reader = nullptr;
        fletch_error error;
        std::uint64_t read = 0;
        pin(static_cast<int>(i));
        must(fletch_shuffle_reader_open(shuffle_, &options, &reader, &error), error);
        gate.arrive_and_wait();
        SpanMeter meter;
        meter.start(static_cast<int>(i));
        for (bool has_event = true; has_event;) {
            fletch_shuffle_event event;
            must(fletch_shuffle_reader_next(reader, FLETCH_DEADLINE_DEFAULT, &event, &has_event,
                                            &error),
                 error);
            if (has_event && event.kind == FLETCH_EVENT_BATCH) {
                read += event.rows;
                fletch_batch_release(options.cache, event.batch);
            }
        }
        span = meter.stop();
        fletch_shuffle_reader_close(reader);
        return read;
    }

    Sample sample(const std::vector<ThreadSpan> &spans, std::uint64_t written,
                  std::uint64_t read) const
    {
        Sample sample;
        std::uint64_t start_ns = UINT64_MAX, end_ns = 0;
        for (const ThreadSpan &span : spans) {
            start_ns = std::min(start_ns, span.start_ns);
            end_ns = std::max(end_ns, span.end_ns);
        }
        sample.seconds = static_cast<double>(end_ns - start_ns) * 1e-9;
        sample.values[0] = static_cast<double>(written) * load_.row_bytes / sample.seconds;
        sample.values[1] = static_cast<double>(written) / sample.seconds;
        sample.right = written == read;
        return sample;
    }

    Load load_;
    std::uint32_t partitions_;
    fletch_transport *transport_ = nullptr;
    fletch_buffer_cache *caches_[2 * kEnds] = {};
    fletch_shuffle *shuffle_ = nullptr;
    std::size_t next_[kEnds] = {0, kBatches / 2};
};

/** Copies as many bytes as the rows have, half of them on each processor, 1 MiB at a time. */
class Copy
{
  public:
    explicit Copy(double row_bytes) : row_bytes_(row_bytes)
    {
        for (unsigned i = 0; i < kEnds; ++i) {
            from_[i].assign(kBytes, 1);
            to_[i].assign(kBytes, 2);
        }
    }
    Sample run(std::uint64_t items)
    {
        Gate gate(kEnds);
        std::vector<ThreadSpan> spans(kEnds);
        std::vector<std::thread> threads;
        const double bytes = static_cast<double>(items) * row_bytes_ / kEnds;
        const std::size_t chunks = static_cast<std::size_t>(bytes / kChunk) + 1;
        for (unsigned i = 0; i < kEnds; ++i)
            threads.emplace_back([&, i] {
                pin(static_cast<int>(i));
                gate.arrive_and_wait();
                SpanMeter meter;
                meter.start(static_cast<int>(i));
                for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
                    const std::size_t at = chunk * kChunk % kBytes;
                    std::memcpy(&to_[i][at], &from_[i][at], kChunk);
                }
                spans[i] = meter.stop();
            });
        for (std::thread &thread : threads)
            thread.join();
        Sample sample;
        sample.seconds = static_cast<double>(std::max(spans[0].end_ns, spans[1].end_ns) -
                                             std::min(spans[0].start_ns, spans[1].start_ns)) *
                         1e-9;
        sample.values[0] = static_cast<double>(chunks * kChunk * kEnds) / sample.seconds;
        sample.values[1] = sample.values[0] / row_bytes_;
        sample.right = true;
        account(sample, spans);
        return sample;
    }

  private:
    static constexpr std::size_t kBytes = 64 << 20; /* far more than the caches have */
    static constexpr std::size_t kChunk = 1 << 20;
    double row_bytes_;
    std::vector<char> from_[kEnds], to_[kEnds];
};

/** The widths of TPC-H's lineitem. */
const std::vector<ColumnPlan> &lineitem_columns()
{
    static const std::vector<ColumnPlan> columns = {
        {"orderkey", "l", 8},       {"partkey", "l", 8},        {"suppkey", "l", 8},
        {"linenumber", "i", 4},     {"quantity", "d:15,2", 16}, {"extendedprice", "d:15,2", 16},
        {"discount", "d:15,2", 16}, {"tax", "d:15,2", 16},      {"returnflag", "u", 1},
        {"linestatus", "u", 1},     {"shipdate", "tdD", 4},     {"commitdate", "tdD", 4},
        {"receiptdate", "tdD", 4},  {"shipinstruct", "u", 12},  {"shipmode", "u", 4},
        {"comment", "u", 26}};
    return columns;
}

/** Bytes of a row, with those of the offsets of its strings. */
double row_bytes_of(const std::vector<ColumnPlan> &columns)
{
    double bytes = 0;
    for (const ColumnPlan &column : columns)
        bytes += static_cast<double>(column.width) + (column.format[0] == 'u' ? 4 : 0);
    return bytes;
}

enum Kind { kNarrow, kWide };

const Table &table(Kind kind)
{
    static const std::vector<ColumnPlan> pair = {{"key", "l", 8}, {"value", "g", 8}};
    if (kind == kNarrow) {
        static const Table narrow(pair, kBatches);
        return narrow;
    }
    static const Table wide =
        data_path.empty() ? Table(lineitem_columns(), kBatches) : Table(data_path, kBatches);
    return wide;
}

Load load_of(Kind kind, std::size_t rows)
{
    const Table &from = table(kind);
    Load load = {from.schema(),
                 from.pieces(rows),
                 {},
                 kind == kNarrow ? 16 : row_bytes_of(lineitem_columns())};
    for (fletch_batch *batch : load.batches)
        load.rows.push_back(static_cast<std::uint64_t>(fletch_batch_row_count(batch)));
    return load;
}

/** Made by the first run that needs it, so that cases which are left out cost nothing. */
template <class Made> class Later
{
  public:
    explicit Later(std::function<std::shared_ptr<Made>()> make) : make_(std::move(make))
    {
    }
    Sample operator()(std::uint64_t items)
    {
        if (made_ == nullptr)
            made_ = make_();
        return made_->run(items);
    }

  private:
    std::function<std::shared_ptr<Made>()> make_;
    std::shared_ptr<Made> made_;
};

Case exchange(const std::string &name, Kind kind, std::size_t rows, std::uint32_t partitions)
{
    const auto ours = [kind, rows, partitions] {
        return std::make_shared<Exchange>(load_of(kind, rows), partitions);
    };
    const auto copy = [kind] {
        return std::make_shared<Copy>(kind == kNarrow ? 16 : row_bytes_of(lineitem_columns()));
    };
    Case made = {
        name + ", P = " + std::to_string(partitions) + ", 2 + 2",
        {metric(kItems, "bytes_per_second", kNone), metric(kItems, "rows_per_second", kNone)},
        {{"fletching", Role::kOurs, Later<Exchange>(ours)},
         {"two-core memcpy", Role::kReference, Later<Copy>(copy)}}};
    made.seconds = 0.3;
    return made;
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const Kind kind : {kNarrow, kWide})
        for (const std::size_t rows : {kBatchRows, std::size_t{1000}})
            for (const std::uint32_t partitions : {16u, 200u})
                cases.push_back(
                    exchange(std::string(kind == kNarrow ? "int64 + float64, " : "lineitem, ") +
                                 (rows == 1000 ? "1,000 rows" : "64 Ki rows"),
                             kind, rows, partitions));
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    std::vector<char *> others;
    for (int i = 0; i < argc; ++i) {
        if (std::strcmp(argv[i], "--data") == 0 && i + 1 < argc)
            bench::data_path = argv[++i];
        else
            others.push_back(argv[i]);
    }
    return bench::run_program(static_cast<int>(others.size()), others.data(),
                              "bench_exchange_alone", "none in this program", bench::make_cases);
}
