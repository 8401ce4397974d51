#ifndef BENCH_HARNESS_MACHINE_HPP
#define BENCH_HARNESS_MACHINE_HPP

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench
{

/** The machine that the benchmark runs on: processors, clocks, what others take of it. */

/** The two processors that the tests are pinned to, "0" and "1" in the names of the cases. */
struct Processors {
    int cpu[2];
};
bool find_processors(Processors &out);
const Processors &processors();

inline constexpr int kAnyCpu = -1;
/** Pins the calling thread to one of the two processors, or to both (kAnyCpu). */
void pin(int which);

inline void pause()
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
}

/** Nanoseconds of the monotonic clock. */
std::uint64_t now_ns();

/** A cheap clock for intervals of one thread or of two (the counters of all cores agree). */
inline std::uint64_t ticks()
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return now_ns();
#endif
}
double ns_per_tick();

/** Time of the calling thread on a processor, and how often it was put off one against its will. */
struct ThreadUse {
    std::uint64_t cpu_ns;
    std::uint64_t involuntary;
    std::uint64_t voluntary;
};
ThreadUse thread_use();

/** What the machine did beside this process since the last look: busy time of both processors that
 *  is neither ours nor idle, time stolen by the hypervisor included. In ticks of 10 ms. */
class OthersMeter
{
  public:
    OthersMeter();
    std::uint64_t taken_ns() const;

  private:
    std::uint64_t busy_ns_;
    std::uint64_t own_ns_;
};

/** One way of one cache line between the two processors, ns: the floor of every latency, and the
 *  witness of where a hypervisor has put them. */
double line_latency_ns();

enum class Placement {
    kNear,  /* two threads of one core */
    kFar,   /* two cores that share a cache */
    kRemote /* two cores that share none */
};
inline constexpr double kFarFromNs = 45.0;
inline constexpr double kRemoteFromNs = 150.0;
Placement placement_of(double line_ns);
const char *placement_name(Placement placement);

/** Stores a word of a line unchanged. The reader of a line that does so hands it back dirty, as our
 *  rings do: it then moves to the writer in one step. */
inline void give_line_back(std::uint64_t *word)
{
    std::uint64_t same = *word;
    asm volatile("" : "+r"(same));
    *word = same;
}

/** Items a second that one core can write and the other read in chunks of `chunk_bytes`, each chunk
 *  announced by one store: the floor of every stream of `item_bytes`. */
double stream_floor(std::size_t chunk_bytes, std::size_t item_bytes);

/** Keeps both processors from halting while it lives: a thread of idle priority spins on each. */
class AwakeCores
{
  public:
    AwakeCores();
    ~AwakeCores();
    AwakeCores(const AwakeCores &) = delete;
    AwakeCores &operator=(const AwakeCores &) = delete;

  private:
    std::vector<std::thread> spinners_;
};

std::string describe_machine();

} // namespace bench

#endif
