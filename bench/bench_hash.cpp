#include <cstring>
#include <memory>
#include <vector>

#include "harness/columns.hpp"
#include "harness/contest.hpp"

/** fletch-hash-1 of columns that come from memory, in values a second of one core, and the row sum
 * in bytes a second. Beside it a hash that does far less (one multiplication and a shift, as numpy
 *  programs do), and the floor: reading the same bytes. */

namespace bench
{
namespace
{

constexpr std::size_t kBatches = 128;
constexpr double kRowBytes = 16;

std::vector<std::uint64_t> &hashes()
{
    static std::vector<std::uint64_t> out(kBatchRows);
    return out;
}

Contestant contestant(const KeyedBatches &data, const char *name, Role role, double scale,
                      const std::function<void(std::size_t)> &work)
{
    return {name, role, [&data, scale, work](std::uint64_t items) {
                return time_batches(data, items, scale, work);
            }};
}

__attribute__((noinline)) void multiply_shift(const std::int64_t *keys, std::uint64_t *out)
{
    for (std::size_t i = 0; i < kBatchRows; ++i)
        out[i] = static_cast<std::uint64_t>(keys[i]) * 0x9e3779b97f4a7c15u >> 32;
}

__attribute__((noinline)) std::uint64_t read_all(const std::int64_t *keys)
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kBatchRows; ++i)
        sum += static_cast<std::uint64_t>(keys[i]);
    return sum;
}

Case key_hash(const KeyedBatches &data, std::uint32_t column, const char *name)
{
    const auto ours = [&data, column](std::size_t i) {
        fletch_hash_batch(data.batches()[i], &column, 1, hashes().data());
    };
    const auto reading = [&data](std::size_t i) { hashes()[0] = read_all(data.keys(i)); };
    const auto cheap = [&data](std::size_t i) { multiply_shift(data.keys(i), hashes().data()); };
    return {name,
            {metric(kItems, "values_per_second", kNone)},
            {contestant(data, "fletching", Role::kOurs, 1, ours),
             contestant(data, "multiply and shift", Role::kReference, 1, cheap),
             contestant(data, "reading", Role::kReference, 1, reading)}};
}

Case row_sum(const KeyedBatches &data)
{
    const auto ours = [&data](std::size_t i) {
        hashes()[0] = fletch_hash_row_sum(data.batches()[i]);
    };
    return {"row sum of int64 + float64, bytes",
            {metric(kItems, "bytes_per_second", kNone)},
            {contestant(data, "fletching", Role::kOurs, kRowBytes, ours)}};
}

std::vector<Case> make_cases()
{
    static const KeyedBatches data(kBatches);
    return {key_hash(data, 0, "hash of an int64 column"),
            key_hash(data, 1, "hash of a float64 column"), row_sum(data)};
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_hash", "loops of this program", bench::make_cases);
}
