#ifndef BENCH_HARNESS_COLUMNS_HPP
#define BENCH_HARNESS_COLUMNS_HPP

#include <cstdint>
#include <vector>

#include <fletching/fletching.h>

#include "harness/machine.hpp"
#include "harness/ours.hpp"
#include "harness/stream.hpp"

/** Batches of a key (int64) and a value (double), as they come in by the C data interface, and
 *  timing of work of one thread. */

namespace bench
{

inline constexpr std::size_t kBatchRows = 1 << 16;

inline void release_schema(ArrowSchema *schema)
{
    schema->release = nullptr;
}

inline void release_array(ArrowArray *array)
{
    array->release = nullptr;
}

/** A batch of kBatchRows rows whose columns are `columns`. */
inline fletch_batch *import_rows(fletch_buffer_cache *cache, fletch_schema *schema,
                                 ArrowArray **columns, std::size_t column_count)
{
    const void *no_buffers[1] = {nullptr};
    ArrowArray root = {};
    root.length = kBatchRows;
    root.n_buffers = 1;
    root.buffers = no_buffers;
    root.n_children = static_cast<std::int64_t>(column_count);
    root.children = columns;
    root.release = release_array;
    fletch_import_options options = {};
    options.struct_size = sizeof options;
    options.cache = cache;
    fletch_batch *batch = nullptr;
    fletch_error error;
    must(fletch_batch_import(&root, schema, &options, &batch, &error), error);
    return batch;
}

/** `batch_count` batches of random keys, each in memory of its own. */
class KeyedBatches
{
  public:
    explicit KeyedBatches(std::size_t batch_count)
    {
        fletch_error error;
        fletch_buffer_pool_options options = {};
        options.struct_size = sizeof options;
        options.cache_bytes = std::size_t{1} << 30;
        must(fletch_buffer_pool_create(&options, nullptr, &pool_, &error), error);
        must(fletch_buffer_cache_open(pool_, &cache_, &error), error);
        make_schema();
        std::uint64_t state = 1;
        for (std::size_t i = 0; i < batch_count; ++i) {
            keys_.emplace_back(kBatchRows);
            values_.emplace_back(kBatchRows);
            for (std::size_t row = 0; row < kBatchRows; ++row) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                keys_[i][row] = static_cast<std::int64_t>(state ^ state >> 29);
                values_[i][row] = static_cast<double>(state >> 12);
            }
        }
        for (std::size_t i = 0; i < batch_count; ++i)
            import(i);
    }
    KeyedBatches(const KeyedBatches &) = delete;
    KeyedBatches &operator=(const KeyedBatches &) = delete;

    fletch_schema *schema() const
    {
        return schema_;
    }
    fletch_buffer_cache *cache() const
    {
        return cache_;
    }
    const std::vector<fletch_batch *> &batches() const
    {
        return batches_;
    }
    const std::int64_t *keys(std::size_t batch) const
    {
        return keys_[batch].data();
    }
    const double *values(std::size_t batch) const
    {
        return values_[batch].data();
    }

  private:
    void make_schema()
    {
        ArrowSchema children[2] = {};
        ArrowSchema *pointers[2] = {&children[0], &children[1]};
        const char *const formats[2] = {"l", "g"};
        const char *const names[2] = {"key", "value"};
        for (int i = 0; i < 2; ++i) {
            children[i].format = formats[i];
            children[i].name = names[i];
            children[i].flags = ARROW_FLAG_NULLABLE;
            children[i].release = release_schema;
        }
        ArrowSchema root = {};
        root.format = "+s";
        root.name = "";
        root.n_children = 2;
        root.children = pointers;
        root.release = release_schema;
        fletch_error error;
        must(fletch_schema_import(&root, nullptr, &schema_, &error), error);
    }
    void import(std::size_t i)
    {
        const void *key_buffers[2] = {nullptr, keys_[i].data()};
        const void *value_buffers[2] = {nullptr, values_[i].data()};
        ArrowArray children[2] = {};
        ArrowArray *pointers[2] = {&children[0], &children[1]};
        for (ArrowArray &child : children) {
            child.length = kBatchRows;
            child.n_buffers = 2;
            child.release = release_array;
        }
        children[0].buffers = key_buffers;
        children[1].buffers = value_buffers;
        batches_.push_back(import_rows(cache_, schema_, pointers, 2));
    }

    fletch_buffer_pool *pool_ = nullptr;
    fletch_buffer_cache *cache_ = nullptr;
    fletch_schema *schema_ = nullptr;
    std::vector<std::vector<std::int64_t>> keys_;
    std::vector<std::vector<double>> values_;
    std::vector<fletch_batch *> batches_;
};

/** Times `work(batch index)` over `items` rows, batch after batch; `scale` of them a second. */
template <class Work>
Sample time_batches(const KeyedBatches &data, std::uint64_t items, double scale, const Work &work)
{
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    const std::uint64_t count = (items + kBatchRows - 1) / kBatchRows;
    static std::size_t next = 0;
    pin(0);
    SpanMeter meter;
    meter.start(0);
    for (std::uint64_t i = 0; i < count; ++i)
        work(next++ % data.batches().size());
    spans[0] = meter.stop();
    sample.seconds = static_cast<double>(spans[0].end_ns - spans[0].start_ns) * 1e-9;
    sample.values[0] = static_cast<double>(count * kBatchRows) * scale / sample.seconds;
    sample.right = true;
    account(sample, spans);
    pin(kAnyCpu);
    return sample;
}

} // namespace bench

#endif
