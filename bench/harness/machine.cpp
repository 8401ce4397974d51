#include "harness/machine.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

namespace bench
{
namespace
{

Processors chosen = {{0, 1}};
std::atomic<bool> spinners_stop{false};

std::uint64_t clock_ns(clockid_t clock)
{
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1000000000u +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/** Busy time of the two processors, stolen time included. */
std::uint64_t busy_ns()
{
    std::ifstream stat("/proc/stat");
    std::string line;
    std::uint64_t busy = 0;
    while (std::getline(stat, line)) {
        int cpu;
        unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
        if (std::sscanf(line.c_str(), "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &user,
                        &nice, &system, &idle, &iowait, &irq, &softirq, &steal) != 9)
            continue;
        if (cpu == chosen.cpu[0] || cpu == chosen.cpu[1])
            busy += user + nice + system + irq + softirq + steal;
    }
    return busy * (1000000000u / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

struct alignas(128) Word {
    std::atomic<std::uint64_t> value{0};
};

} // namespace

bool find_processors(Processors &out)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    int found = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; ++cpu) {
        if (CPU_ISSET(cpu, &allowed))
            chosen.cpu[found++] = cpu;
    }
    out = chosen;
    return found == 2;
}

const Processors &processors()
{
    return chosen;
}

void pin(int which)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < 2; ++i) {
        if (which == kAnyCpu || which == i)
            CPU_SET(chosen.cpu[i], &set);
    }
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

std::uint64_t now_ns()
{
    return clock_ns(CLOCK_MONOTONIC);
}

double ns_per_tick()
{
    static const double value = [] {
        const std::uint64_t ns = now_ns();
        const std::uint64_t start = ticks();
        while (now_ns() - ns < 20000000u)
            pause();
        return static_cast<double>(now_ns() - ns) / static_cast<double>(ticks() - start);
    }();
    return value;
}

ThreadUse thread_use()
{
    rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return {clock_ns(CLOCK_THREAD_CPUTIME_ID), static_cast<std::uint64_t>(usage.ru_nivcsw),
            static_cast<std::uint64_t>(usage.ru_nvcsw)};
}

OthersMeter::OthersMeter() : busy_ns_(busy_ns()), own_ns_(clock_ns(CLOCK_PROCESS_CPUTIME_ID))
{
}

std::uint64_t OthersMeter::taken_ns() const
{
    const std::uint64_t busy = busy_ns() - busy_ns_;
    const std::uint64_t own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns_;
    return busy > own ? busy - own : 0;
}

double line_latency_ns()
{
    constexpr std::size_t kPieces = 21;
    constexpr std::uint64_t kRounds = 50; /* of a piece; the median piece had its processors */
    Word there, back;
    std::thread echo([&] {
        pin(1);
        for (std::uint64_t i = 1; i <= kRounds * kPieces; ++i) {
            while (there.value.load(std::memory_order_acquire) != i) {
            }
            back.value.store(i, std::memory_order_release);
        }
    });
    std::array<std::uint64_t, kPieces> pieces;
    std::thread caller([&] {
        pin(0);
        std::uint64_t i = 0;
        for (std::uint64_t &piece : pieces) {
            const std::uint64_t start = now_ns();
            for (const std::uint64_t end = i + kRounds; i < end;) {
                there.value.store(++i, std::memory_order_release);
                while (back.value.load(std::memory_order_acquire) != i) {
                }
            }
            piece = now_ns() - start;
        }
    });
    caller.join();
    echo.join();
    std::nth_element(pieces.begin(), pieces.begin() + kPieces / 2, pieces.end());
    return static_cast<double>(pieces[kPieces / 2]) / static_cast<double>(2 * kRounds);
}

Placement placement_of(double line_ns)
{
    return line_ns < kFarFromNs      ? Placement::kNear
           : line_ns < kRemoteFromNs ? Placement::kFar
                                     : Placement::kRemote;
}

const char *placement_name(Placement placement)
{
    static const char *const names[] = {"near", "far", "remote"};
    return names[static_cast<int>(placement)];
}

double stream_floor(std::size_t chunk_bytes, std::size_t item_bytes)
{
    constexpr std::size_t kRingBytes = 32768, kLineWords = 8;
    const std::size_t chunk = chunk_bytes / 8, ring = kRingBytes / 8;
    const std::uint64_t chunks = (std::uint64_t{16} << 20) / chunk_bytes;
    const std::uint64_t window = kRingBytes / chunk_bytes;
    auto memory = std::make_unique<std::uint64_t[]>(ring + 8);
    std::uint64_t *words = memory.get();
    while (reinterpret_cast<std::uintptr_t>(words) % 64 != 0)
        ++words;
    Word written, read;
    std::uint64_t sum = 0;
    std::thread reader([&] {
        pin(1);
        for (std::uint64_t i = 0; i < chunks; ++i) {
            while (written.value.load(std::memory_order_acquire) <= i)
                pause();
            std::uint64_t *from = words + i % window * chunk;
            for (std::size_t w = 0; w < chunk; ++w)
                sum += from[w];
            for (std::size_t w = 0; w < chunk; w += kLineWords)
                give_line_back(from + w);
            if (i % (window / 8) == 0)
                read.value.store(i, std::memory_order_release);
        }
        read.value.store(chunks, std::memory_order_release);
    });
    pin(0);
    const std::uint64_t start = now_ns();
    std::uint64_t room = window;
    for (std::uint64_t i = 0; i < chunks; ++i) {
        while (i >= room) {
            room = read.value.load(std::memory_order_acquire) + window;
            if (i >= room)
                pause();
        }
        std::uint64_t *to = words + i % window * chunk;
        for (std::size_t w = 0; w < chunk; ++w)
            to[w] = i;
        written.value.store(i + 1, std::memory_order_release);
    }
    reader.join();
    const double seconds = static_cast<double>(now_ns() - start) * 1e-9;
    pin(kAnyCpu);
    if (sum != chunks * (chunks - 1) / 2 * chunk)
        return 0;
    return static_cast<double>(chunks * chunk_bytes / item_bytes) / seconds;
}

AwakeCores::AwakeCores()
{
    spinners_stop.store(false);
    for (int cpu = 0; cpu < 2; ++cpu) {
        spinners_.emplace_back([cpu] {
            pin(cpu);
            const sched_param none = {};
            if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
                return; /* a spinner of ordinary priority would disturb what it should help */
            while (!spinners_stop.load(std::memory_order_relaxed))
                pause();
        });
    }
}

AwakeCores::~AwakeCores()
{
    spinners_stop.store(true);
    for (std::thread &spinner : spinners_)
        spinner.join();
}

std::string describe_machine()
{
    std::string model = "unknown processor", line;
    std::ifstream info("/proc/cpuinfo");
    while (std::getline(info, line)) {
        if (line.rfind("model name", 0) == 0) {
            model = line.substr(line.find(':') + 2);
            break;
        }
    }
    utsname system;
    uname(&system);
    return model + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " processors, " +
           system.sysname + " " + system.release;
}

} // namespace bench
