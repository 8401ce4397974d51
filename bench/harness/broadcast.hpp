#ifndef BENCH_HARNESS_BROADCAST_HPP
#define BENCH_HARNESS_BROADCAST_HPP

#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "harness/stream.hpp"

/** One producer to consumers that see every element each: elements a second, by the slowest. The
 *  producer has the first processor, consumers share the second; in a diamond the third consumer,
 *  which comes after the two others, is beside the producer.
 *
 *  A ring is like a queue of ends.hpp but for
 *      explicit Ring(const BroadcastShape &);
 *      Producer(Ring &);  Consumer(Ring &, unsigned index); */

namespace bench
{

struct BroadcastShape {
    std::size_t capacity;
    unsigned consumers;
    bool diamond; /* three consumers: the last is behind the others */
};

/** Each call through a function that the compiler sees nothing of, as in ends.hpp. */
template <class Ring> class CalledBroadcast : public Ring
{
  public:
    using Ring::Ring;
    using E = typename Ring::Value;

    class Producer
    {
      public:
        explicit Producer(Ring &ring) : end_(ring)
        {
        }
        BENCH_OPAQUE bool push(const E &element)
        {
            return end_.push(element);
        }
        BENCH_OPAQUE std::size_t push_many(const E *elements, std::size_t count)
        {
            return end_.push_many(elements, count);
        }
        BENCH_OPAQUE std::size_t claim(std::size_t count, Spans<E> &spans)
        {
            return end_.claim(count, spans);
        }
        BENCH_OPAQUE void commit(std::size_t count)
        {
            end_.commit(count);
        }

      private:
        typename Ring::Producer end_;
    };

    class Consumer
    {
      public:
        Consumer(Ring &ring, unsigned index) : end_(ring, index)
        {
        }
        BENCH_OPAQUE bool pop(E &element)
        {
            return end_.pop(element);
        }
        BENCH_OPAQUE std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return end_.pop_many(elements, max_count);
        }
        BENCH_OPAQUE std::size_t peek(std::size_t count, Spans<E> &spans)
        {
            return end_.peek(count, spans);
        }
        BENCH_OPAQUE void release(std::size_t count)
        {
            end_.release(count);
        }

      private:
        typename Ring::Consumer end_;
    };
};

/** One lap by one thread, so that all memory has been touched before the clock starts. */
template <class Ring>
void touch_all(typename Ring::Producer &producer,
               std::vector<std::unique_ptr<typename Ring::Consumer>> &consumers,
               std::size_t capacity)
{
    typename Ring::Value element;
    write(element, 0, 0);
    for (std::size_t i = 0; i < 2 * capacity + capacity / 4; ++i) {
        while (!producer.push(element)) {
        }
        for (auto &consumer : consumers) {
            while (!consumer->pop(element)) {
            }
        }
    }
}

template <Wait kWait, class Ring>
Sample run_broadcast(const BroadcastShape &shape, std::size_t batch, std::uint64_t items)
{
    const std::uint64_t count = (items / batch + 1) * batch;
    const StreamPlan plan = {shape.capacity, batch, {0}, 1};
    Ring ring(shape);
    typename Ring::Producer producer(ring);
    std::vector<std::unique_ptr<typename Ring::Consumer>> ends;
    for (unsigned i = 0; i < shape.consumers; ++i)
        ends.push_back(std::make_unique<typename Ring::Consumer>(ring, i));
    touch_all<Ring>(producer, ends, shape.capacity);

    Gate gate(shape.consumers + 1);
    std::vector<ThreadSpan> spans(shape.consumers + 1);
    std::vector<char> right(shape.consumers);
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        pin(0);
        SpanMeter meter;
        gate.arrive_and_wait();
        meter.start(0);
        run_producer<kWait, Ring>(producer, plan, 0, count);
        spans[shape.consumers] = meter.stop();
    });
    for (unsigned i = 0; i < shape.consumers; ++i) {
        threads.emplace_back([&, i] {
            const int cpu = shape.diamond && i == 2 ? 0 : 1;
            pin(cpu);
            SpanMeter meter;
            gate.arrive_and_wait();
            meter.start(cpu);
            right[i] = run_consumer<kWait, Ring>(*ends[i], plan, count);
            spans[i] = meter.stop();
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    Sample sample;
    std::uint64_t start_ns = UINT64_MAX, end_ns = 0;
    for (const ThreadSpan &span : spans) {
        start_ns = std::min(start_ns, span.start_ns);
        end_ns = std::max(end_ns, span.end_ns);
    }
    sample.right = std::all_of(right.begin(), right.end(), [](char yes) { return yes != 0; });
    sample.seconds = static_cast<double>(end_ns - start_ns) * 1e-9;
    sample.values[0] = static_cast<double>(count) / sample.seconds;
    account(sample, spans);
    return sample;
}

} // namespace bench

#endif
