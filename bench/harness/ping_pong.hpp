#ifndef BENCH_HARNESS_PING_PONG_HPP
#define BENCH_HARNESS_PING_PONG_HPP

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "harness/stream.hpp"

/** Two queues between two threads: one way, half of a round trip. And one thread alone. */

namespace bench
{

/** Every round trip is kept: exact percentiles, of half the time, less what the answer was held. */
class RoundTrips
{
  public:
    RoundTrips(std::uint64_t rounds, std::uint64_t hold_ns)
        : ticks_(rounds), hold_ns_(static_cast<double>(hold_ns))
    {
    }
    void note(std::uint64_t round, std::uint64_t elapsed)
    {
        ticks_[round] = elapsed;
    }
    double one_way_ns(double share)
    {
        const auto at = static_cast<std::size_t>(static_cast<double>(ticks_.size() - 1) * share);
        const auto place = ticks_.begin() + static_cast<std::ptrdiff_t>(at);
        std::nth_element(ticks_.begin(), place, ticks_.end());
        return half(static_cast<double>(*place));
    }

    double mean_one_way_ns() const
    {
        std::uint64_t sum = 0;
        for (const std::uint64_t trip : ticks_)
            sum += trip;
        return half(static_cast<double>(sum) / static_cast<double>(ticks_.size()));
    }

  private:
    double half(double trip) const
    {
        return (trip * ns_per_tick() - hold_ns_) / 2;
    }
    std::vector<std::uint64_t> ticks_;
    double hold_ns_;
};

template <Wait kWait, class Queue>
Sample run_ping_pong(std::size_t capacity, std::uint64_t rounds, std::uint64_t hold_ns = 0)
{
    using E = typename Queue::Value;
    Queue there(Shape{capacity, 1}), back(Shape{capacity, 1});
    typename Queue::Producer there_in(there, 0), back_in(back, 0);
    typename Queue::Consumer there_out(there), back_out(back);
    touch<Queue>(there_in, there_out, capacity);
    touch<Queue>(back_in, back_out, capacity);
    RoundTrips trips(rounds, hold_ns);
    const auto hold = static_cast<std::uint64_t>(static_cast<double>(hold_ns) / ns_per_tick());
    Gate gate(2);
    std::vector<ThreadSpan> spans(2);
    Sample sample;
    std::thread echo([&] {
        pin(1);
        SpanMeter meter;
        Waiter<kWait> waiter;
        E element = {};
        gate.arrive_and_wait();
        meter.start(1);
        for (std::uint64_t i = 0; i < rounds; ++i) {
            while (!there_out.pop(element))
                waiter.again();
            for (const std::uint64_t came = ticks(); hold != 0 && ticks() - came < hold;)
                pause();
            while (!back_in.push(element))
                waiter.again();
        }
        spans[1] = meter.stop();
    });
    std::thread caller([&] {
        pin(0);
        SpanMeter meter;
        Waiter<kWait> waiter;
        Checker<sizeof(E), true> checker;
        E element = {};
        write(element, 0, 0);
        gate.arrive_and_wait();
        meter.start(0);
        std::uint64_t last = ticks();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            stamp(element, 0, i);
            while (!there_in.push(element))
                waiter.again();
            while (!back_out.pop(element))
                waiter.again();
            checker.see(element);
            const std::uint64_t now = ticks();
            trips.note(i, now - last);
            last = now;
        }
        spans[0] = meter.stop();
        sample.right = checker.right(1, rounds);
    });
    caller.join();
    echo.join();
    sample.seconds = static_cast<double>(spans[0].end_ns - spans[0].start_ns) * 1e-9;
    sample.values[0] = trips.one_way_ns(0.50);
    sample.values[1] = trips.one_way_ns(0.99);
    sample.values[2] = trips.mean_one_way_ns();
    account(sample, spans);
    return sample;
}

/** One thread pushes and pops, the queue half full: ns a pair. */
template <class Queue> Sample run_alone(std::size_t capacity, std::uint64_t pairs)
{
    using E = typename Queue::Value;
    Queue queue(Shape{capacity, 1});
    typename Queue::Producer producer(queue, 0);
    typename Queue::Consumer consumer(queue);
    touch<Queue>(producer, consumer, capacity);
    Sample sample;
    std::vector<ThreadSpan> spans(1);
    std::thread thread([&] {
        pin(0);
        Checker<sizeof(E), true> checker;
        E in, out = {};
        write(in, 0, 0);
        std::uint64_t pushed = 0;
        bool done = true;
        for (; pushed < capacity / 2; ++pushed) {
            stamp(in, 0, pushed);
            done = producer.push(in) && done;
        }
        SpanMeter meter;
        meter.start(0);
        for (std::uint64_t i = 0; i < pairs; ++i) {
            stamp(in, 0, pushed++);
            done = producer.push(in) && done;
            done = consumer.pop(out) && done;
            checker.see(out);
        }
        spans[0] = meter.stop();
        sample.right = done && checker.right(1, pairs);
    });
    thread.join();
    sample.seconds = static_cast<double>(spans[0].end_ns - spans[0].start_ns) * 1e-9;
    sample.values[0] = sample.seconds * 1e9 / static_cast<double>(pairs);
    account(sample, spans);
    return sample;
}

} // namespace bench

#endif
