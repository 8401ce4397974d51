#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fletching/eventcount.h>

#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/ours.hpp"
#include "harness/ping_pong.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"

/** Waiting: waking a thread that sleeps, waits that end before the spin budget, and what a push
 *  costs more because somebody might sleep. */

namespace bench
{
namespace
{

using Word = Element<8>;

/** Ways to hand one word to a thread that sleeps until it comes. */

template <fletch_wait_strategy kStrategy> class RingHandOver
{
  public:
    RingHandOver() : ring_(Shape{64, 1})
    {
    }
    void send(const Word &word)
    {
        ring_.push(word);
    }
    void receive(Word &word)
    {
        ring_.pop(word);
    }

  private:
    FletchSpscRing<Word, FLETCH_RING_SLOT_SEQUENCE, kStrategy, true> ring_;
};

class EventcountHandOver
{
  public:
    EventcountHandOver()
    {
        fletch_error error;
        must(fletch_eventcount_create(nullptr, &eventcount_, &error), error);
    }
    ~EventcountHandOver()
    {
        fletch_eventcount_destroy(eventcount_);
    }
    EventcountHandOver(const EventcountHandOver &) = delete;
    EventcountHandOver &operator=(const EventcountHandOver &) = delete;

    void send(const Word &word)
    {
        word_.store(word.words[0], std::memory_order_release);
        fletch_eventcount_notify(eventcount_, 1);
    }
    void receive(Word &word)
    {
        for (;;) {
            word.words[0] = word_.load(std::memory_order_acquire);
            if (word.words[0] != 0)
                break;
            const std::uint32_t key = fletch_eventcount_prepare(eventcount_);
            if (word_.load(std::memory_order_acquire) != 0)
                fletch_eventcount_cancel(eventcount_);
            else
                fletch_eventcount_wait(eventcount_, key, FLETCH_NO_TIMEOUT);
        }
        word_.store(0, std::memory_order_relaxed); /* the sender waits for the answer */
    }

  private:
    std::atomic<std::uint64_t> word_{0};
    fletch_eventcount *eventcount_ = nullptr;
};

class MutexHandOver
{
  public:
    MutexHandOver() = default;
    ~MutexHandOver()
    {
        pthread_cond_destroy(&came_);
        pthread_mutex_destroy(&mutex_);
    }
    MutexHandOver(const MutexHandOver &) = delete;
    MutexHandOver &operator=(const MutexHandOver &) = delete;

    void send(const Word &word)
    {
        pthread_mutex_lock(&mutex_);
        word_ = word;
        pthread_mutex_unlock(&mutex_);
        pthread_cond_signal(&came_);
    }
    void receive(Word &word)
    {
        pthread_mutex_lock(&mutex_);
        while (word_.words[0] == 0)
            pthread_cond_wait(&came_, &mutex_);
        word = word_;
        word_.words[0] = 0;
        pthread_mutex_unlock(&mutex_);
    }

  private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t came_ = PTHREAD_COND_INITIALIZER;
    Word word_ = {};
};

/** Nothing but the system call: the floor. */
class FutexHandOver
{
  public:
    void send(const Word &word)
    {
        word_ = word;
        there_.store(1, std::memory_order_release);
        syscall(SYS_futex, &there_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
    void receive(Word &word)
    {
        while (there_.load(std::memory_order_acquire) == 0)
            syscall(SYS_futex, &there_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
        there_.store(0, std::memory_order_relaxed);
        word = word_;
    }

  private:
    std::atomic<std::uint32_t> there_{0};
    Word word_ = {};
};

/** The sender leaves the sleeper this long to fall asleep: several spin budgets. */
constexpr std::uint64_t kSleepNs = 150000;

/** From before the send to after the receive, the receiver asleep each time. */
template <class HandOver> Sample run_wake_up(std::uint64_t rounds)
{
    HandOver hand_over;
    std::atomic<std::uint64_t> answered{0};
    std::vector<double> times(rounds);
    std::uint64_t wrong = 0, slept = 0;
    Sample sample;
    std::thread sleeper([&] {
        pin(1);
        const ThreadUse before = thread_use();
        std::uint64_t last = 0;
        for (std::uint64_t i = 0; i < rounds; ++i) {
            Word word;
            hand_over.receive(word);
            const std::uint64_t now = now_ns();
            wrong += word.words[0] <= last || word.words[0] > now;
            last = word.words[0];
            times[i] = static_cast<double>(now - word.words[0]);
            answered.store(i + 1, std::memory_order_release);
        }
        slept = thread_use().voluntary - before.voluntary;
    });
    std::thread sender([&] {
        pin(0);
        const std::uint64_t start = now_ns();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const std::uint64_t idle = now_ns();
            while (now_ns() - idle < kSleepNs)
                pause();
            hand_over.send(Word{{now_ns()}});
            while (answered.load(std::memory_order_acquire) != i + 1)
                pause();
        }
        sample.seconds = static_cast<double>(now_ns() - start) * 1e-9;
    });
    sender.join();
    sleeper.join();
    std::sort(times.begin(), times.end());
    sample.values[0] = times[rounds / 2];
    sample.values[1] = times[(rounds - 1) * 99 / 100];
    sample.right = wrong == 0 && slept >= rounds * 9 / 10;
    return sample;
}

struct WakeUp {
    template <class HandOver> Sample run(std::uint64_t rounds) const
    {
        return run_wake_up<HandOver>(rounds);
    }
};

Floors futex_floor()
{
    const AwakeCores awake;
    std::vector<double> times;
    for (int i = 0; i < 3; ++i)
        times.push_back(run_wake_up<FutexHandOver>(200).values[0]);
    return {{"bare futex, p50", spread_of(times).median}};
}

template <class Ours> Case wake_up(const char *name)
{
    Table<WakeUp> table{WakeUp{}};
    table.awake<Ours>("fletching", Role::kOurs)
        .template awake<MutexHandOver>("mutex + condition variable", Role::kPeer)
        .template awake<RingHandOver<FLETCH_WAIT_ADAPTIVE>>("fletching ring, adaptive",
                                                            Role::kReference)
        .template ours<Ours>("fletching, cores may halt", Role::kReference)
        .template ours<MutexHandOver>("mutex, cores may halt", Role::kReference);
    Case out = {name, {metric(kNs, "p50_ns", 1.0), metric(kNs, "p99_ns", kNone)}, table.take()};
    out.floors = futex_floor;
    out.seconds = 0.2;
    out.items_max = 100000;
    return out;
}

/** Both threads stay within the spin budget: the answer comes `hold_ns` after the question. */
struct ShortWait {
    std::uint64_t hold_ns;
    template <class Queue> Sample run(std::uint64_t rounds) const
    {
        return run_ping_pong<Wait::kBare, Queue>(64, rounds, hold_ns);
    }
};

Case short_waits(std::uint64_t hold_ns)
{
    constexpr fletch_ring_form kForm = FLETCH_RING_SLOT_SEQUENCE;
    Table<ShortWait> table(ShortWait{hold_ns});
    table.ours<FletchSpscRing<Word, kForm, FLETCH_WAIT_ADAPTIVE, true>>("fletching, adaptive")
        .ours<FletchSpscRing<Word, kForm, FLETCH_WAIT_ADAPTIVE, false>>("bare spinning on try_pop",
                                                                        Role::kPeer)
        .ours<FletchSpscRing<Word, kForm, FLETCH_WAIT_SPIN, true>>("fletching, spin",
                                                                   Role::kReference)
        .ours<FletchSpscRing<Word, kForm, FLETCH_WAIT_PAUSE, true>>("fletching, pause",
                                                                    Role::kReference);
    Case out = {"waits of " + std::to_string(hold_ns) + " ns, within the spin budget",
                {metric(kNs, "p50_ns", 1 / 1.15), metric(kNs, "p99_ns", kNone),
                 metric(kNs, "mean_ns", kNone)},
                table.take()};
    out.items_max = 400000;
    return out;
}

/** Fills the ring, timed, and empties it, not timed. Returns ns a push. */
template <class Ring> double time_pushes(Ring &ring, std::size_t capacity, bool &right)
{
    Word word = {};
    const std::uint64_t start = ticks();
    for (std::size_t i = 0; i < capacity; ++i) {
        word.words[0] = i;
        right = ring.push(word) && right;
    }
    const std::uint64_t elapsed = ticks() - start;
    for (std::size_t i = 0; i < capacity; ++i)
        right = ring.pop(word) && word.words[0] == i && right;
    return static_cast<double>(elapsed) * ns_per_tick() / static_cast<double>(capacity);
}

/** The same pushes into a ring whose other end might sleep and into one whose other end never does,
 *  in turns. */
Sample run_unneeded_notify(std::uint64_t pushes)
{
    constexpr std::size_t kCapacity = 1024;
    using Parking = FletchSpscRing<Word, FLETCH_RING_SLOT_SEQUENCE, FLETCH_WAIT_PARK>;
    using Spinning = FletchSpscRing<Word, FLETCH_RING_SLOT_SEQUENCE, FLETCH_WAIT_SPIN>;
    const std::size_t turns = pushes / kCapacity + 8;
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    std::thread thread([&] {
        pin(0);
        Parking parking(Shape{kCapacity, 1});
        Spinning spinning(Shape{kCapacity, 1});
        bool right = true;
        for (int i = 0; i < 4; ++i) {
            time_pushes(parking, kCapacity, right);
            time_pushes(spinning, kCapacity, right);
        }
        std::vector<double> parked, spun, extra;
        SpanMeter meter;
        meter.start(0);
        for (std::size_t i = 0; i < turns; ++i) {
            parked.push_back(time_pushes(parking, kCapacity, right));
            spun.push_back(time_pushes(spinning, kCapacity, right));
            extra.push_back(parked.back() - spun.back());
        }
        spans[0] = meter.stop();
        sample.values[0] = spread_of(extra).median;
        sample.values[1] = spread_of(parked).median;
        sample.values[2] = spread_of(spun).median;
        sample.right = right;
    });
    thread.join();
    sample.seconds = static_cast<double>(spans[0].end_ns - spans[0].start_ns) * 1e-9;
    account(sample, spans);
    return sample;
}

Case unneeded_notify()
{
    return {"push while nobody sleeps, parking ring against spinning ring",
            {metric(kNs, "extra_ns", kNone, 1.0), metric(kNs, "parking_ns_per_push", kNone),
             metric(kNs, "spinning_ns_per_push", kNone)},
            {{"fletching", Role::kOurs, run_unneeded_notify}}};
}

std::vector<Case> make_cases()
{
    return {wake_up<RingHandOver<FLETCH_WAIT_PARK>>("wake-up, ring"),
            wake_up<EventcountHandOver>("wake-up, eventcount"),
            short_waits(0),
            short_waits(2000),
            short_waits(10000),
            unneeded_notify()};
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_wait", "POSIX threads, futex", bench::make_cases);
}
