#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "harness/columns.hpp"
#include "harness/contest.hpp"

/** Rows of int64 + float64 to frames of P partitions, in bytes of input a second of one core: hash,
 *  partition, copy, frames taken and let go. Against the plain loop that one would write: the same
 *  hash and map, count, then copy each row to the end of its partition's frame, in as many bytes
 *  of frames as the writer has open. The floor copies the same bytes as they are.
 *  bench_partition.py has the peers from Python. */

namespace bench
{
namespace
{

constexpr std::size_t kBatches = 64;
constexpr double kRowBytes = 16;
constexpr std::size_t kFrameBytes = 256 << 10; /* what the writer takes by default: */
constexpr std::size_t kOpenBytes = 1 << 27;    /* an eighth of its budget is in open frames */

/** Fills each frame at least once: memory is then there, and what is timed is the steady state. */
template <class Pusher>
void warm_up(Pusher &pusher, const KeyedBatches &data, std::uint32_t partitions)
{
    const std::size_t open_bytes = std::min<std::size_t>(kOpenBytes, partitions * kFrameBytes);
    const std::size_t batch_bytes = kBatchRows * 16;
    for (std::size_t i = 0; i < 2 * open_bytes / batch_bytes; ++i)
        pusher.push(i % data.batches().size());
}

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
        warm_up(*this, data, partitions);
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

/** One frame for each partition, of the size that the writer has; a full one is given back and the
 *  one given back last is taken next, as from the writer's cache. */
class PlainLoop
{
  public:
    PlainLoop(const KeyedBatches &data, std::uint32_t partitions)
        : data_(data), partitions_(partitions),
          node_count_(std::max<std::uint64_t>(1024, power_of_two(64 * partitions))),
          frame_rows_(std::min<std::size_t>(kFrameBytes, kOpenBytes / partitions) / 16),
          map_(node_count_), ids_(kBatchRows), counts_(partitions), cursors_(partitions)
    {
        for (std::uint64_t node = 0; node < node_count_; ++node)
            map_[node] = static_cast<std::uint16_t>(node * partitions / node_count_);
        for (Cursor &cursor : cursors_)
            open(cursor);
        warm_up(*this, data, partitions);
    }
    __attribute__((noinline)) void push(std::size_t batch)
    {
        const std::int64_t *const keys = data_.keys(batch);
        const double *const values = data_.values(batch);
        std::fill(counts_.begin(), counts_.end(), 0);
        for (std::size_t i = 0; i < kBatchRows; ++i) {
            std::uint64_t hash = static_cast<std::uint64_t>(keys[i]) + 0x243f6a8885a308d3u;
            hash = (hash ^ hash >> 27) * 0x3c79ac492ba7b653u;
            hash = (hash ^ hash >> 33) * 0x1c69b3f74ac4ae35u;
            ids_[i] = map_[(hash ^ hash >> 27) & (node_count_ - 1)];
            ++counts_[ids_[i]];
        }
        for (std::size_t p = 0; p < partitions_; ++p)
            make_room(cursors_[p], counts_[p]);
        for (std::size_t i = 0; i < kBatchRows; ++i) {
            Cursor &cursor = cursors_[ids_[i]];
            *cursor.keys++ = keys[i];
            *cursor.values++ = values[i];
        }
    }

  private:
    struct Cursor {
        std::int64_t *keys;
        double *values;
        std::int64_t *frame;
        std::size_t left;
    };
    static std::uint64_t power_of_two(std::uint64_t least)
    {
        std::uint64_t power = 1;
        while (power < least)
            power *= 2;
        return power;
    }
    void open(Cursor &cursor)
    {
        if (free_.empty()) {
            memory_.emplace_back(2 * frame_rows_);
            free_.push_back(memory_.back().data());
        }
        cursor.frame = free_.back();
        free_.pop_back();
        cursor.keys = cursor.frame;
        cursor.values = reinterpret_cast<double *>(cursor.frame + frame_rows_);
        cursor.left = frame_rows_;
    }
    /** The rows of a batch are not split: a frame is given back when they do not fit. */
    void make_room(Cursor &cursor, std::size_t count)
    {
        if (count > cursor.left) {
            free_.push_back(cursor.frame);
            open(cursor);
        }
        cursor.left -= count;
    }

    const KeyedBatches &data_;
    std::uint32_t partitions_;
    std::uint64_t node_count_;
    std::size_t frame_rows_;
    std::vector<std::uint16_t> map_;
    std::vector<std::uint16_t> ids_;
    std::vector<std::uint32_t> counts_;
    std::vector<Cursor> cursors_;
    std::vector<std::int64_t *> free_;
    std::vector<std::vector<std::int64_t>> memory_;
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
