#ifndef BENCH_HARNESS_STORE_RUNS_HPP
#define BENCH_HARNESS_STORE_RUNS_HPP

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "harness/machine.hpp"
#include "harness/sample.hpp"
#include "harness/store_map.hpp"
#include "harness/stream.hpp"

/** What is done to a map, and how long it takes: nanoseconds an operation, keys in random order. */

namespace bench
{

/** Numbers below a power of two, cheap beside a look-up, and the same for all contestants. */
class KeyOrder
{
  public:
    KeyOrder(std::size_t entries, std::uint64_t seed) : state_(seed), mask_(entries - 1)
    {
    }
    std::uint64_t next()
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ >> 33 & mask_;
    }

  private:
    std::uint64_t state_;
    std::uint64_t mask_;
};

/** Runs `work` on a thread of its own, as some peers' handles are the system thread's. */
inline void on_thread(int cpu, const std::function<void()> &work)
{
    std::thread thread([&] {
        pin(cpu);
        work();
    });
    thread.join();
}

/** A map with keys 0 … entries - 1, made once for all runs. */
template <class Map> Map &filled_map(std::size_t entries)
{
    static std::map<std::size_t, Map *> made; /* never freed: no peer is asked to */
    Map *&map = made[entries];
    if (map == nullptr) {
        map = new Map(entries);
        on_thread(0, [&] {
            typename Map::Thread thread(*map);
            for (std::size_t i = 0; i < entries; ++i)
                thread.insert(store_key(i));
        });
    }
    return *map;
}

struct StorePlan {
    std::size_t entries;
    unsigned readers = 1;
    bool writer = false;    /* beside one reader */
    std::uint32_t slot = 0; /* 1: keys that are not there */
};

template <class Thread>
bool view_keys(Thread &thread, const StorePlan &plan, KeyOrder order, std::uint64_t count)
{
    std::uint64_t wrong = 0, found = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t number = order.next();
        const StoreKey key = store_key(number, plan.slot);
        thread.enter();
        const std::uint64_t *word = thread.find(key);
        if (word != nullptr) {
            wrong += *word != number;
            ++found;
        }
        thread.exit();
    }
    return wrong == 0 && (plan.writer || found == (plan.slot == 0 ? count : 0));
}

/** Half replacements, a quarter removals and a quarter insertions; all keys are there again in the
 *  end. */
template <class Thread>
bool write_keys(Thread &thread, std::size_t entries, std::uint64_t seed,
                const std::atomic<bool> &over, std::uint64_t &count)
{
    KeyOrder order(entries, seed);
    bool right = true;
    for (count = 0; !over.load(std::memory_order_relaxed); count += 4) {
        const StoreKey key = store_key(order.next());
        right = thread.replace(store_key(order.next())) && right;
        right = thread.remove(key) && right;
        right = thread.insert(key) && right;
        right = thread.replace(store_key(order.next())) && right;
    }
    return right;
}

inline void settle(Sample &sample, const std::vector<ThreadSpan> &spans, std::uint64_t operations)
{
    double total = 0;
    for (const ThreadSpan &span : spans)
        total += static_cast<double>(span.end_ns - span.start_ns);
    sample.seconds = total * 1e-9 / static_cast<double>(spans.size());
    sample.values[0] = sample.seconds * 1e9 / static_cast<double>(operations);
    account(sample, spans);
}

/** Section, look-up, one word of the object. With a writer: the reader's time, and the writer's for
 *  each of its operations. */
template <class Map> Sample run_views(const StorePlan &plan, std::uint64_t count)
{
    Map &map = filled_map<Map>(plan.entries);
    Sample sample;
    std::vector<ThreadSpan> spans(plan.readers);
    std::vector<std::thread> threads;
    std::atomic<bool> over{false}, right{true};
    std::uint64_t written = 0, written_ns = 0;
    Gate gate(plan.readers + (plan.writer ? 1 : 0));
    for (unsigned index = 0; index < plan.readers; ++index)
        threads.emplace_back([&, index] {
            const int cpu = plan.writer ? 1 : static_cast<int>(index);
            pin(cpu);
            typename Map::Thread thread(map);
            KeyOrder order(plan.entries, 77 + index);
            SpanMeter meter;
            gate.arrive_and_wait();
            meter.start(cpu);
            if (!view_keys(thread, plan, order, count))
                right = false;
            spans[index] = meter.stop();
            over = true;
        });
    if (plan.writer)
        threads.emplace_back([&] {
            pin(0);
            typename Map::Thread thread(map);
            gate.arrive_and_wait();
            const std::uint64_t start = now_ns();
            if (!write_keys(thread, plan.entries, 5, over, written))
                right = false;
            written_ns = now_ns() - start;
        });
    for (std::thread &thread : threads)
        thread.join();
    sample.right = right;
    settle(sample, spans, count);
    if (plan.writer)
        sample.values[1] =
            static_cast<double>(written_ns) / static_cast<double>(written == 0 ? 1 : written);
    return sample;
}

/** A reference taken, the word read, the reference let go: no section around it. */
template <class Map> Sample run_gets(std::size_t entries, std::uint64_t count)
{
    Map &map = filled_map<Map>(entries);
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    on_thread(0, [&] {
        typename Map::Thread thread(map);
        KeyOrder order(entries, 3);
        std::uint64_t wrong = 0;
        SpanMeter meter;
        meter.start(0);
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t number = order.next();
            const std::uint64_t *word = thread.acquire(store_key(number));
            wrong += word == nullptr || *word != number;
            thread.release(word);
        }
        spans[0] = meter.stop();
        sample.right = wrong == 0;
    });
    settle(sample, spans, count);
    return sample;
}

/** Sixteen keys a call. Without references: a section around each call, in which the words are
 *  read. With references: taken, the words read, let go. */
template <class Map> Sample run_many(std::size_t entries, bool with_references, std::uint64_t count)
{
    constexpr std::size_t kMany = 16;
    Map &map = filled_map<Map>(entries);
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    on_thread(0, [&] {
        typename Map::Thread thread(map);
        KeyOrder order(entries, 3);
        std::uint64_t wrong = 0;
        SpanMeter meter;
        meter.start(0);
        for (std::uint64_t i = 0; i < count; i += kMany) {
            StoreKey keys[kMany];
            const std::uint64_t *words[kMany];
            for (StoreKey &key : keys)
                key = store_key(order.next());
            if (with_references) {
                wrong += thread.acquire_many(keys, kMany, words) != kMany;
            } else {
                thread.enter();
                wrong += thread.find_many(keys, kMany, words) != kMany;
            }
            for (std::size_t k = 0; k < kMany; ++k)
                wrong += words[k] == nullptr || *words[k] != keys[k].partition;
            if (with_references)
                thread.release_many(words, kMany);
            else
                thread.exit();
        }
        spans[0] = meter.stop();
        sample.right = wrong == 0;
    });
    settle(sample, spans, count);
    return sample;
}

/** Numbers in a row, in random order, another one for each shuffling. */
class ShuffledNumbers
{
  public:
    ShuffledNumbers(std::uint64_t first, std::uint64_t count, std::uint64_t seed)
        : numbers_(count), state_(seed * 2 + 1)
    {
        for (std::uint64_t i = 0; i < count; ++i)
            numbers_[i] = static_cast<std::uint32_t>(first + i);
    }
    const std::vector<std::uint32_t> &shuffle()
    {
        for (std::size_t i = numbers_.size(); i > 1; --i) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;
            std::swap(numbers_[i - 1], numbers_[(state_ >> 33) % i]);
        }
        return numbers_;
    }

  private:
    std::vector<std::uint32_t> numbers_;
    std::uint64_t state_;
};

/** Does `work` for each key in a fresh random order, which is made up before the clock starts. */
template <class Work> std::uint64_t timed_keys(ShuffledNumbers &numbers, const Work &work)
{
    const std::vector<std::uint32_t> &order = numbers.shuffle();
    const std::uint64_t start = now_ns();
    for (const std::uint32_t number : order)
        work(store_key(number));
    return now_ns() - start;
}

/** Registrations (an object made and entered), replacements and removals, each by itself, in random
 *  order, of keys that come on top of those that are there: an eighth at most. Each writer has its
 *  own. */
template <class Map> Sample run_writes(std::size_t entries, unsigned writers, std::uint64_t count)
{
    Map &map = filled_map<Map>(entries);
    Sample sample;
    const std::uint64_t fresh = std::min<std::uint64_t>(count, entries / 8 / writers);
    const std::uint64_t rounds = (count + fresh - 1) / fresh;
    std::vector<ThreadSpan> spans(writers);
    std::vector<std::uint64_t> ns(writers * 3);
    std::vector<std::thread> threads;
    std::atomic<bool> right{true};
    Gate gate(writers);
    for (unsigned index = 0; index < writers; ++index)
        threads.emplace_back([&, index] {
            pin(static_cast<int>(index));
            typename Map::Thread thread(map);
            ShuffledNumbers numbers(entries + index * fresh, fresh, index);
            bool done = true;
            SpanMeter meter;
            gate.arrive_and_wait();
            meter.start(static_cast<int>(index));
            for (std::uint64_t round = 0; round < rounds; ++round) {
                ns[index * 3] +=
                    timed_keys(numbers, [&](auto key) { done = thread.insert(key) && done; });
                ns[index * 3 + 1] +=
                    timed_keys(numbers, [&](auto key) { done = thread.replace(key) && done; });
                ns[index * 3 + 2] +=
                    timed_keys(numbers, [&](auto key) { done = thread.remove(key) && done; });
            }
            spans[index] = meter.stop();
            if (!done)
                right = false;
        });
    for (std::thread &thread : threads)
        thread.join();
    sample.right = right;
    settle(sample, spans, rounds * fresh);
    for (unsigned k = 0; k < 3; ++k) {
        sample.values[k] = 0;
        for (unsigned index = 0; index < writers; ++index)
            sample.values[k] += static_cast<double>(ns[index * 3 + k]) /
                                static_cast<double>(rounds * fresh * writers);
    }
    return sample;
}

} // namespace bench

#endif
