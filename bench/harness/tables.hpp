#ifndef BENCH_HARNESS_TABLES_HPP
#define BENCH_HARNESS_TABLES_HPP

#include <cstdint>
#include <string>
#include <vector>

#include <fletching/fletching.h>

#include "harness/columns.hpp"

/** Tables of many columns: made up, or read from an Arrow IPC file. */

namespace bench
{

/** A column that is made up: values of a fixed width, or strings of about so many bytes. */
struct ColumnPlan {
    const char *name;
    const char *format; /* of the C data interface */
    std::size_t width;  /* bytes of a value, or of a string in the mean */
};

/** Batches with their schema. They live as long as the program. */
class Table
{
  public:
    /** `batch_count` batches of kBatchRows rows; the first column is a random key. */
    Table(const std::vector<ColumnPlan> &columns, std::size_t batch_count)
    {
        open_pool();
        make_schema(columns);
        for (std::size_t i = 0; i < batch_count; ++i)
            make_batch(columns);
    }

    /** The first batches of the file, cut to kBatchRows rows. */
    Table(const std::string &path, std::size_t batch_count)
    {
        open_pool();
        fletch_error error;
        fletch_ipc_read_options options = {};
        options.struct_size = sizeof options;
        options.cache = cache_;
        fletch_ipc_reader *reader = nullptr;
        must(fletch_ipc_reader_open_path(path.c_str(), &options, &reader, &error), error);
        schema_ = fletch_schema_acquire(fletch_ipc_reader_schema(reader));
        while (batches_.size() < batch_count) {
            fletch_batch *batch = nullptr;
            must(fletch_ipc_reader_next(reader, &batch, &error), error);
            if (batch == nullptr)
                break;
            cut(batch, kBatchRows, batches_);
        }
        fletch_ipc_reader_close(reader);
    }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;

    fletch_schema *schema() const
    {
        return schema_;
    }
    /** Batches of `rows` rows at most. */
    std::vector<fletch_batch *> pieces(std::size_t rows) const
    {
        std::vector<fletch_batch *> pieces;
        for (fletch_batch *batch : batches_)
            cut(batch, rows, pieces);
        return pieces;
    }

  private:
    void open_pool()
    {
        fletch_error error;
        fletch_buffer_pool_options options = {};
        options.struct_size = sizeof options;
        must(fletch_buffer_pool_create(&options, nullptr, &pool_, &error), error);
        must(fletch_buffer_cache_open(pool_, &cache_, &error), error);
    }

    void cut(fletch_batch *batch, std::size_t rows, std::vector<fletch_batch *> &out) const
    {
        const std::int64_t count = fletch_batch_row_count(batch);
        for (std::int64_t first = 0; first < count; first += static_cast<std::int64_t>(rows)) {
            const std::size_t left = static_cast<std::size_t>(count - first);
            const fletch_row_range range = {first, left < rows ? left : rows};
            fletch_batch *piece = nullptr;
            fletch_error error;
            must(fletch_batch_slice(cache_, batch, range, &piece, &error), error);
            out.push_back(piece);
        }
    }

    void make_schema(const std::vector<ColumnPlan> &columns)
    {
        std::vector<ArrowSchema> children(columns.size());
        std::vector<ArrowSchema *> pointers;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            children[i] = {};
            children[i].format = columns[i].format;
            children[i].name = columns[i].name;
            children[i].flags = ARROW_FLAG_NULLABLE;
            children[i].release = release_schema;
            pointers.push_back(&children[i]);
        }
        ArrowSchema root = {};
        root.format = "+s";
        root.name = "";
        root.n_children = static_cast<std::int64_t>(columns.size());
        root.children = pointers.data();
        root.release = release_schema;
        fletch_error error;
        must(fletch_schema_import(&root, nullptr, &schema_, &error), error);
    }

    std::uint64_t random()
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ ^ state_ >> 29;
    }

    /** Random bytes, so many. */
    const void *fill(std::size_t bytes)
    {
        std::vector<std::uint64_t> &words = memory_.emplace_back(bytes / 8 + 1);
        for (std::uint64_t &word : words)
            word = random() & 0x7f7f7f7f7f7f7f7fu;
        return words.data();
    }

    void make_batch(const std::vector<ColumnPlan> &columns)
    {
        std::vector<ArrowArray> children(columns.size());
        std::vector<ArrowArray *> pointers;
        std::vector<std::vector<const void *>> buffers(columns.size());
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const bool is_string = columns[i].format[0] == 'u';
            buffers[i] = {nullptr};
            if (is_string) {
                std::vector<std::uint64_t> &words = memory_.emplace_back(kBatchRows / 2 + 1);
                std::int32_t *const offsets = reinterpret_cast<std::int32_t *>(words.data());
                offsets[0] = 0;
                for (std::size_t row = 0; row < kBatchRows; ++row)
                    offsets[row + 1] = offsets[row] + length(columns[i].width);
                buffers[i].push_back(offsets);
                buffers[i].push_back(fill(static_cast<std::size_t>(offsets[kBatchRows])));
            } else {
                buffers[i].push_back(fill(kBatchRows * columns[i].width));
            }
            children[i] = {};
            children[i].length = kBatchRows;
            children[i].n_buffers = static_cast<std::int64_t>(buffers[i].size());
            children[i].buffers = buffers[i].data();
            children[i].release = release_array;
            pointers.push_back(&children[i]);
        }
        batches_.push_back(import_rows(cache_, schema_, pointers.data(), pointers.size()));
    }

    std::int32_t length(std::size_t mean)
    {
        return static_cast<std::int32_t>(mean < 4 ? mean : mean / 2 + random() % (mean + 1));
    }

    fletch_buffer_pool *pool_ = nullptr;
    fletch_buffer_cache *cache_ = nullptr;
    fletch_schema *schema_ = nullptr;
    std::uint64_t state_ = 1;
    std::vector<std::vector<std::uint64_t>> memory_;
    std::vector<fletch_batch *> batches_;
};

} // namespace bench

#endif
