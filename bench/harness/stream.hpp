#ifndef BENCH_HARNESS_STREAM_HPP
#define BENCH_HARNESS_STREAM_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <sched.h>

#include "harness/element.hpp"
#include "harness/ends.hpp"
#include "harness/machine.hpp"
#include "harness/sample.hpp"

/** Producers to one consumer as fast as they can: items a second. */

namespace bench
{

/** What a thread does between two looks at a queue that was full or empty. */
enum class Wait {
    kPause, /* PAUSE: each thread has its processor */
    kYield, /* PAUSE, and every 64th time sched_yield: threads share processors */
    kBare   /* looks again at once */
};

template <Wait kWait> class Waiter
{
  public:
    void again()
    {
        if constexpr (kWait == Wait::kPause) {
            pause();
        } else if constexpr (kWait == Wait::kYield) {
            if (++looks_ % 64 == 0)
                sched_yield();
            else
                pause();
        }
    }

  private:
    unsigned looks_ = 0;
};

struct StreamPlan {
    std::size_t capacity;
    std::size_t batch; /* 1: single calls */
    std::vector<int> producer_cpus;
    int consumer_cpu;
    bool sleeps = false; /* threads may sleep, so idle time is not time taken by others */
};

/** Where the threads of a run meet, and what each of them used. */
class Gate
{
  public:
    explicit Gate(unsigned threads) : expected_(threads)
    {
    }
    void arrive_and_wait()
    {
        arrived_.fetch_add(1);
        for (unsigned i = 1; arrived_.load(std::memory_order_acquire) < expected_; ++i) {
            if (i % 64 == 0)
                sched_yield();
            else
                pause();
        }
    }

  private:
    std::atomic<unsigned> arrived_{0};
    unsigned expected_;
};

struct ThreadSpan {
    int cpu;
    std::uint64_t start_ns, end_ns;
    ThreadUse used;
};

/** Measures the thread it lives in, between start() and stop(). */
class SpanMeter
{
  public:
    void start(int cpu)
    {
        before_ = thread_use();
        span_.cpu = cpu;
        span_.start_ns = now_ns();
    }
    ThreadSpan stop()
    {
        span_.end_ns = now_ns();
        const ThreadUse after = thread_use();
        span_.used = {after.cpu_ns - before_.cpu_ns, after.involuntary - before_.involuntary,
                      after.voluntary - before_.voluntary};
        return span_;
    }

  private:
    ThreadUse before_ = {};
    ThreadSpan span_ = {};
};

/** Fills in what others took: of each processor that our threads never leave idle, the time between
 *  the first start and the last end that none of them had. */
void account(Sample &sample, const std::vector<ThreadSpan> &spans);

template <Wait kWait, class Queue>
void produce(typename Queue::Producer &end, const StreamPlan &plan, unsigned index,
             std::uint64_t count)
{
    using E = typename Queue::Value;
    Waiter<kWait> waiter;
    if (plan.batch == 1) {
        E element;
        write(element, index, 0);
        for (std::uint64_t i = 0; i < count; ++i) {
            stamp(element, index, i);
            while (!end.push(element))
                waiter.again();
        }
        return;
    }
    std::vector<E> buffer(plan.batch);
    for (std::size_t i = 0; i < plan.batch; ++i)
        write(buffer[i], index, i);
    for (std::uint64_t done = 0; done < count; done += plan.batch) {
        for (std::size_t i = 0; i < plan.batch; ++i)
            stamp(buffer[i], index, done + i);
        for (std::size_t sent = 0; sent < plan.batch;) {
            const std::size_t pushed = end.push_many(buffer.data() + sent, plan.batch - sent);
            sent += pushed;
            if (pushed == 0)
                waiter.again();
        }
    }
}

template <Wait kWait, class Queue>
void produce_in_place(typename Queue::Producer &end, const StreamPlan &plan, std::uint64_t count)
{
    using E = typename Queue::Value;
    Waiter<kWait> waiter;
    for (std::uint64_t done = 0; done < count;) {
        Spans<E> spans;
        const std::size_t claimed = end.claim(plan.batch - done % plan.batch, spans);
        if (claimed == 0) {
            waiter.again();
            continue;
        }
        for (std::size_t i = 0; i < spans.first_count; ++i)
            write(spans.first[i], 0, done++);
        for (std::size_t i = 0; i < spans.second_count; ++i)
            write(spans.second[i], 0, done++);
        end.commit(claimed);
    }
}

template <Wait kWait, class Queue, bool kSingle>
bool consume(typename Queue::Consumer &end, const StreamPlan &plan, std::uint64_t count_each)
{
    using E = typename Queue::Value;
    const unsigned producers = static_cast<unsigned>(plan.producer_cpus.size());
    const std::uint64_t count = count_each * producers;
    Checker<sizeof(E), kSingle> checker;
    Waiter<kWait> waiter;
    if (plan.batch == 1) {
        E element;
        for (std::uint64_t i = 0; i < count; ++i) {
            while (!end.pop(element))
                waiter.again();
            checker.see(element);
        }
        return checker.right(producers, count_each);
    }
    std::vector<E> buffer(plan.batch);
    for (std::uint64_t done = 0; done < count;) {
        const std::size_t popped = end.pop_many(buffer.data(), plan.batch);
        if (popped == 0)
            waiter.again();
        for (std::size_t i = 0; i < popped; ++i)
            checker.see(buffer[i]);
        done += popped;
    }
    return checker.right(producers, count_each);
}

template <Wait kWait, class Queue>
bool consume_in_place(typename Queue::Consumer &end, const StreamPlan &plan, std::uint64_t count)
{
    using E = typename Queue::Value;
    Checker<sizeof(E), true> checker;
    Waiter<kWait> waiter;
    for (std::uint64_t done = 0; done < count;) {
        Spans<E> spans;
        const std::size_t seen = end.peek(plan.batch, spans);
        if (seen == 0) {
            waiter.again();
            continue;
        }
        for (std::size_t i = 0; i < spans.first_count; ++i)
            checker.see(spans.first[i]);
        for (std::size_t i = 0; i < spans.second_count; ++i)
            checker.see(spans.second[i]);
        end.release(seen);
        done += seen;
    }
    return checker.right(1, count);
}

/** One lap by one thread, so that all memory has been touched before the clock starts. */
template <class Queue>
void touch(typename Queue::Producer &producer, typename Queue::Consumer &consumer,
           std::size_t capacity)
{
    typename Queue::Value element;
    write(element, 0, 0);
    const std::size_t lap = capacity + capacity / 4;
    for (std::size_t i = 0; i < lap; ++i) {
        while (!producer.push(element)) {
        }
        while (!consumer.pop(element)) {
        }
    }
}

template <Wait kWait, class Queue>
void run_producer(typename Queue::Producer &end, const StreamPlan &plan, unsigned index,
                  std::uint64_t count)
{
    if constexpr (kInPlace<Queue>)
        produce_in_place<kWait, Queue>(end, plan, count);
    else
        produce<kWait, Queue>(end, plan, index, count);
}

template <Wait kWait, class Queue>
bool run_consumer(typename Queue::Consumer &end, const StreamPlan &plan, std::uint64_t count_each)
{
    if constexpr (kInPlace<Queue>)
        return consume_in_place<kWait, Queue>(end, plan, count_each);
    else if (plan.producer_cpus.size() == 1)
        return consume<kWait, Queue, true>(end, plan, count_each);
    else
        return consume<kWait, Queue, false>(end, plan, count_each);
}

template <Wait kWait, class Queue> Sample run_stream(const StreamPlan &plan, std::uint64_t items)
{
    const unsigned producers = static_cast<unsigned>(plan.producer_cpus.size());
    const std::uint64_t count_each = (items / producers / plan.batch + 1) * plan.batch;
    Queue queue(Shape{plan.capacity, producers});
    std::vector<std::unique_ptr<typename Queue::Producer>> ends;
    for (unsigned i = 0; i < producers; ++i)
        ends.push_back(std::make_unique<typename Queue::Producer>(queue, i));
    typename Queue::Consumer consumer_end(queue);
    for (auto &end : ends)
        touch<Queue>(*end, consumer_end, plan.capacity);

    Gate gate(producers + 1);
    std::vector<ThreadSpan> spans(producers + 1);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < producers; ++i) {
        threads.emplace_back([&, i] {
            pin(plan.producer_cpus[i]);
            SpanMeter meter;
            gate.arrive_and_wait();
            meter.start(plan.producer_cpus[i]);
            run_producer<kWait, Queue>(*ends[i], plan, i, count_each);
            spans[i] = meter.stop();
        });
    }
    Sample sample;
    threads.emplace_back([&] {
        pin(plan.consumer_cpu);
        SpanMeter meter;
        gate.arrive_and_wait();
        meter.start(plan.consumer_cpu);
        sample.right = run_consumer<kWait, Queue>(consumer_end, plan, count_each);
        spans[producers] = meter.stop();
    });
    for (std::thread &thread : threads)
        thread.join();
    const ThreadSpan &timed = spans[producers];
    sample.seconds = static_cast<double>(timed.end_ns - timed.start_ns) * 1e-9;
    sample.values[0] = static_cast<double>(count_each * producers) / sample.seconds;
    if (!plan.sleeps)
        account(sample, spans);
    return sample;
}

} // namespace bench

#endif
