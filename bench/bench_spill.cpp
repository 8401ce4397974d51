#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/stream.hpp"
#include "spill_rounds.h"

/** Frames of 64 KiB and 1 MiB to disk and back, each read 16 frames after it was written, in bytes
 *  of frames a second of one core, in the folder where the program is started: by the spill layer
 *  (CRC32C over every byte both ways, decoded into a batch, space given back) and by bare pwrite
 *  and pread of as many bytes, to the same places again and again, and with a hole punched for
 *  each. Nobody waits for the disk: what is measured lies in the page cache of a disk that keeps
 * up. */

namespace bench
{
namespace
{

constexpr std::int64_t kRowBytes = 16;
constexpr std::uint64_t kBlockBytes = 4096;

[[noreturn]] void fail(const char *what)
{
    std::perror(what);
    std::exit(1);
}

class Spill
{
  public:
    Spill(std::int64_t rows, fletch_spill_codec codec)
        : rounds_(spill_rounds_open(".", rows, codec))
    {
        if (rounds_ == nullptr)
            std::exit(1);
    }
    ~Spill()
    {
        spill_rounds_close(rounds_);
    }
    Spill(const Spill &) = delete;
    Spill &operator=(const Spill &) = delete;

    bool turn()
    {
        return spill_rounds_turn(rounds_) == 0;
    }

  private:
    spill_rounds *rounds_;
};

/** The bytes of a frame of so many rows, as plain as can be. */
class Bare
{
  public:
    Bare(std::int64_t rows, bool punches)
        : punches_(punches), fd_(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)),
          bytes_(static_cast<std::size_t>(rows * kRowBytes)), written_(bytes_, 1), read_(bytes_)
    {
        if (fd_ < 0)
            fail("a file without a name in this folder");
    }
    ~Bare()
    {
        close(fd_);
    }
    Bare(const Bare &) = delete;
    Bare &operator=(const Bare &) = delete;

    bool turn()
    {
        bool right = true;
        if (turns_ >= SPILL_ROUNDS_DEPTH)
            right = read_back(turns_ - SPILL_ROUNDS_DEPTH);
        written_.front() = static_cast<char>(turns_);
        right =
            pwrite(fd_, written_.data(), bytes_, place(turns_)) == static_cast<ssize_t>(bytes_) &&
            right;
        ++turns_;
        return right;
    }

  private:
    off_t place(std::uint64_t turn) const
    {
        const std::uint64_t step = (bytes_ + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
        return static_cast<off_t>((punches_ ? turn : turn % SPILL_ROUNDS_DEPTH) * step);
    }
    bool read_back(std::uint64_t turn)
    {
        const off_t from = place(turn);
        if (pread(fd_, read_.data(), bytes_, from) != static_cast<ssize_t>(bytes_) ||
            read_.front() != static_cast<char>(turn))
            return false;
        return !punches_ || fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                                      static_cast<off_t>(bytes_)) == 0;
    }

    const bool punches_;
    const int fd_;
    const std::size_t bytes_;
    std::vector<char> written_, read_;
    std::uint64_t turns_ = 0;
};

template <class Disk> Sample time_turns(Disk &disk, std::uint64_t items, std::int64_t rows)
{
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    SpanMeter meter;
    sample.right = true;
    pin(0);
    meter.start(0);
    for (std::uint64_t i = 0; i < items && sample.right; ++i)
        sample.right = disk.turn();
    spans[0] = meter.stop();
    sample.seconds = static_cast<double>(spans[0].end_ns - spans[0].start_ns) * 1e-9;
    sample.values[0] =
        static_cast<double>(items) * static_cast<double>(rows * kRowBytes) / sample.seconds;
    account(sample, spans);
    pin(kAnyCpu);
    return sample;
}

template <class Disk, class Choice>
Contestant contestant(const char *name, Role role, std::int64_t rows, Choice choice)
{
    auto disk = std::make_shared<Disk>(rows, choice);
    for (int i = 0; i < 2 * SPILL_ROUNDS_DEPTH; ++i)
        if (!disk->turn())
            fail(name);
    return {name, role,
            [disk, rows](std::uint64_t items) { return time_turns(*disk, items, rows); }};
}

Case frames(const char *name, std::int64_t rows)
{
    return {std::string(name) + " to disk and back, bytes",
            {metric(kItems, "bytes_per_second", kNone)},
            {contestant<Spill>("fletching", Role::kOurs, rows, FLETCH_SPILL_PLAIN),
             contestant<Bare>("pwrite, pread", Role::kPeer, rows, false),
             contestant<Bare>("pwrite, pread, hole punched", Role::kPeer, rows, true),
             contestant<Spill>("fletching, LZ4", Role::kReference, rows, FLETCH_SPILL_LZ4),
             contestant<Spill>("fletching, ZSTD", Role::kReference, rows, FLETCH_SPILL_ZSTD)}};
}

std::vector<Case> make_cases()
{
    return {frames("64 KiB", (64 << 10) / kRowBytes), frames("1 MiB", (1 << 20) / kRowBytes)};
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_spill", "loops of this program",
                              bench::make_cases);
}
