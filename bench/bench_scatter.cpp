#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "harness/columns.hpp"
#include "harness/contest.hpp"

/** Rows of int64 + float64 to frames of P partitions, in bytes of input a second of one core: hash,
 *  partition, copy, frames taken and let go. Against the plain loop that one would write: count,
 *  then copy each row to where it belongs, into memory that is used again for each batch. The floor
 *  copies the same bytes as they are. bench_partition.py has the peers from Python. */

namespace bench
{
namespace
{

constexpr std::size_t kBatches = 64;
constexpr double kRowBytes = 16;

class Writer
{
  public:
    Writer(const KeyedBatches &data, std::uint32_t partitions) : data_(data)
    {
        static const std::uint32_t key = 0;
        fletch_partitioner_options options = {};
        options.struct_size = sizeof options;
        options.partition_count = partitions;
        options.key_columns = &key;
        options.key_column_count = 1;
        fletch_partitioner *partitioner = nullptr;
        fletch_error error;
        must(fletch_partitioner_create(data.schema(), &options, nullptr, &partitioner, &error),
             error);
        fletch_partition_writer_options writer = {};
        writer.struct_size = sizeof writer;
        writer.cache = data.cache();
        must(fletch_partition_writer_create(data.schema(), partitioner, &writer, &writer_, &error),
             error);
    }
    void push(std::size_t i)
    {
        fletch_error error;
        must(fletch_partition_writer_push(writer_, data_.batches()[i], &error), error);
        for (;;) {
            fletch_partition_frame frame;
            must(fletch_partition_writer_next(writer_, &frame, &error), error);
            if (frame.batch == nullptr)
                return;
            fletch_batch_release(data_.cache(), frame.batch);
        }
    }

  private:
    const KeyedBatches &data_;
    fletch_partition_writer *writer_ = nullptr;
};

class PlainLoop
{
  public:
    PlainLoop(const KeyedBatches &data, std::uint32_t partitions)
        : data_(data), partitions_(partitions), ids_(kBatchRows), ends_(partitions + 1),
          keys_(kBatchRows), values_(kBatchRows)
    {
    }
    __attribute__((noinline)) void push(std::size_t batch)
    {
        const std::int64_t *const keys = data_.keys(batch);
        const double *const values = data_.values(batch);
        ends_.assign(partitions_ + 1, 0);
        for (std::size_t i = 0; i < kBatchRows; ++i) {
            const std::uint64_t hash =
                static_cast<std::uint64_t>(keys[i]) * 0x9e3779b97f4a7c15u >> 32;
            ids_[i] = static_cast<std::uint16_t>(hash * partitions_ >> 32);
            ++ends_[ids_[i] + 1u];
        }
        for (std::size_t p = 0; p < partitions_; ++p)
            ends_[p + 1] += ends_[p];
        for (std::size_t i = 0; i < kBatchRows; ++i) {
            const std::uint32_t at = ends_[ids_[i]]++;
            keys_[at] = keys[i];
            values_[at] = values[i];
        }
    }

  private:
    const KeyedBatches &data_;
    std::uint32_t partitions_;
    std::vector<std::uint16_t> ids_;
    std::vector<std::uint32_t> ends_;
    std::vector<std::int64_t> keys_;
    std::vector<double> values_;
};

class Copy
{
  public:
    explicit Copy(const KeyedBatches &data)
        : data_(data), out_(data.batches().size() * kBatchRows * 2, 1)
    {
    }
    void push(std::size_t i)
    {
        double *const to = out_.data() + i * kBatchRows * 2;
        std::memcpy(to, data_.keys(i), kBatchRows * 8);
        std::memcpy(to + kBatchRows, data_.values(i), kBatchRows * 8);
    }

  private:
    const KeyedBatches &data_;
    std::vector<double> out_;
};

template <class Pusher>
Contestant contestant(const KeyedBatches &data, const char *name, Role role,
                      std::shared_ptr<Pusher> pusher)
{
    return {name, role, [&data, pusher](std::uint64_t items) {
                return time_batches(data, items, kRowBytes,
                                    [&](std::size_t i) { pusher->push(i); });
            }};
}

Case scatter(const KeyedBatches &data, std::uint32_t partitions)
{
    return {
        "int64 + float64, P = " + std::to_string(partitions) + ", bytes",
        {metric(kItems, "bytes_per_second", 1.1)},
        {contestant(data, "fletching", Role::kOurs, std::make_shared<Writer>(data, partitions)),
         contestant(data, "plain loop", Role::kPeer, std::make_shared<PlainLoop>(data, partitions)),
         contestant(data, "memcpy", Role::kReference, std::make_shared<Copy>(data))}};
}

std::vector<Case> make_cases()
{
    static const KeyedBatches data(kBatches);
    return {scatter(data, 16), scatter(data, 200), scatter(data, 4096)};
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_scatter", "loops of this program",
                              bench::make_cases);
}
