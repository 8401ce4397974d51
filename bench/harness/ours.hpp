#ifndef BENCH_HARNESS_OURS_HPP
#define BENCH_HARNESS_OURS_HPP

#include <cstdio>
#include <cstdlib>

#include <fletching/fan_in.h>
#include <fletching/mpsc_queue.h>
#include <fletching/spsc_ring.h>

#include "harness/ends.hpp"

/** The library under test, through its public headers and across its shared object. */

namespace bench
{

inline void must(fletch_status status, const fletch_error &error)
{
    if (status != FLETCH_OK) {
        std::fprintf(stderr, "fletching: %s: %s\n", fletch_status_name(status), error.message);
        std::exit(1);
    }
}

/** kWaits: the calls that wait inside, instead of the try ones. */
template <class E, fletch_ring_form kForm, fletch_wait_strategy kStrategy = FLETCH_WAIT_DEFAULT,
          bool kWaits = false>
class FletchSpscRing
{
  public:
    static constexpr const char *kName =
        kForm == FLETCH_RING_CURSOR ? "fletching cursor" : "fletching";
    using Value = E;
    using Producer = PlainProducer<FletchSpscRing, E>;
    using Consumer = PlainConsumer<FletchSpscRing, E>;

    explicit FletchSpscRing(const Shape &shape)
    {
        fletch_spsc_ring_options options = {};
        options.struct_size = sizeof options;
        options.element_bytes = sizeof(E);
        options.capacity = shape.capacity;
        options.form = kForm;
        options.wait_strategy = kStrategy;
        fletch_error error;
        must(fletch_spsc_ring_create(&options, nullptr, &ring_, &error), error);
    }
    ~FletchSpscRing()
    {
        fletch_spsc_ring_destroy(ring_, nullptr, nullptr);
    }
    FletchSpscRing(const FletchSpscRing &) = delete;
    FletchSpscRing &operator=(const FletchSpscRing &) = delete;

    bool push(const E &element)
    {
        if constexpr (kWaits)
            return fletch_spsc_ring_push(ring_, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE;
        else
            return fletch_spsc_ring_try_push(ring_, &element) == FLETCH_DONE;
    }
    bool pop(E &element)
    {
        if constexpr (kWaits)
            return fletch_spsc_ring_pop(ring_, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE;
        else
            return fletch_spsc_ring_try_pop(ring_, &element) == FLETCH_DONE;
    }
    std::size_t push_many(const E *elements, std::size_t count)
    {
        std::size_t pushed = 0;
        (void)!fletch_spsc_ring_try_push_many(ring_, elements, count, &pushed);
        return pushed;
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        std::size_t popped = 0;
        (void)!fletch_spsc_ring_try_pop_many(ring_, elements, max_count, &popped);
        return popped;
    }
    fletch_spsc_ring *ring()
    {
        return ring_;
    }

  protected:
    fletch_spsc_ring *ring_ = nullptr;
};

/** Batches filled and read where they lie. */
template <class E> class FletchSpscRingInPlace : public FletchSpscRing<E, FLETCH_RING_CURSOR>
{
    using Base = FletchSpscRing<E, FLETCH_RING_CURSOR>;

  public:
    static constexpr const char *kName = "fletching in place";
    static constexpr bool kInPlace = true;
    using Producer = PlainProducer<FletchSpscRingInPlace, E>;
    using Consumer = PlainConsumer<FletchSpscRingInPlace, E>;
    using Base::Base;

    std::size_t claim(std::size_t count, Spans<E> &out)
    {
        fletch_ring_spans spans;
        if (fletch_spsc_ring_try_claim(this->ring_, count, &spans) != FLETCH_DONE)
            return 0;
        return copy(spans, out);
    }
    void commit(std::size_t count)
    {
        fletch_spsc_ring_commit(this->ring_, count);
    }
    std::size_t peek(std::size_t count, Spans<E> &out)
    {
        fletch_ring_spans spans;
        if (fletch_spsc_ring_try_peek(this->ring_, count, &spans) != FLETCH_DONE)
            return 0;
        return copy(spans, out);
    }
    void release(std::size_t count)
    {
        fletch_spsc_ring_release(this->ring_, count);
    }

  private:
    static std::size_t copy(const fletch_ring_spans &spans, Spans<E> &out)
    {
        if (spans.stride_bytes != sizeof(E))
            std::abort(); /* the cursor form has no gaps */
        out = {static_cast<E *>(spans.first), spans.first_count, static_cast<E *>(spans.second),
               spans.second_count};
        return spans.first_count + spans.second_count;
    }
};

template <class E, bool kWaits = false> class FletchMpscQueue
{
  public:
    static constexpr const char *kName = "fletching";
    using Value = E;
    using Producer = PlainProducer<FletchMpscQueue, E>;
    using Consumer = PlainConsumer<FletchMpscQueue, E>;

    explicit FletchMpscQueue(const Shape &shape)
    {
        fletch_mpsc_queue_options options = {};
        options.struct_size = sizeof options;
        options.element_bytes = sizeof(E);
        options.capacity = shape.capacity;
        fletch_error error;
        must(fletch_mpsc_queue_create(&options, nullptr, &queue_, &error), error);
    }
    ~FletchMpscQueue()
    {
        fletch_mpsc_queue_destroy(queue_, nullptr, nullptr);
    }
    FletchMpscQueue(const FletchMpscQueue &) = delete;
    FletchMpscQueue &operator=(const FletchMpscQueue &) = delete;

    bool push(const E &element)
    {
        if constexpr (kWaits)
            return fletch_mpsc_queue_push(queue_, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE;
        else
            return fletch_mpsc_queue_try_push(queue_, &element) == FLETCH_DONE;
    }
    bool pop(E &element)
    {
        if constexpr (kWaits)
            return fletch_mpsc_queue_pop(queue_, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE;
        else
            return fletch_mpsc_queue_try_pop(queue_, &element) == FLETCH_DONE;
    }
    std::size_t push_many(const E *elements, std::size_t count)
    {
        return fletch_mpsc_queue_try_push_many(queue_, elements, count) == FLETCH_DONE ? count : 0;
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        std::size_t popped = 0;
        (void)!fletch_mpsc_queue_try_pop_many(queue_, elements, max_count, &popped);
        return popped;
    }

  private:
    fletch_mpsc_queue *queue_ = nullptr;
};

/** A lane for each producer. kForm: of the lanes. */
template <class E, fletch_ring_form kForm = FLETCH_RING_DEFAULT> class FletchFanIn
{
  public:
    static constexpr const char *kName =
        kForm == FLETCH_RING_CURSOR ? "fletching, lanes with cursors" : "fletching";
    using Value = E;
    using Consumer = PlainConsumer<FletchFanIn, E>;

    class Producer
    {
      public:
        Producer(FletchFanIn &queue, unsigned)
        {
            if (fletch_fan_in_register(queue.fan_in_, &lane_) != FLETCH_DONE)
                std::abort(); /* there is a lane for each */
        }
        bool push(const E &element)
        {
            return fletch_fan_in_lane_try_push(lane_, &element) == FLETCH_DONE;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            std::size_t pushed = 0;
            (void)!fletch_fan_in_lane_try_push_many(lane_, elements, count, &pushed);
            return pushed;
        }

      private:
        fletch_fan_in_lane *lane_ = nullptr;
    };

    /** The capacity of a shared queue, divided among the lanes. `idle`: producers more that are
     *  registered and push nothing. */
    explicit FletchFanIn(const Shape &shape, unsigned idle = 0)
    {
        fletch_fan_in_options options = {};
        options.struct_size = sizeof options;
        options.element_bytes = sizeof(E);
        options.capacity = shape.capacity / shape.producers;
        options.lane_count = shape.producers + idle;
        options.form = kForm;
        fletch_error error;
        must(fletch_fan_in_create(&options, nullptr, &fan_in_, &error), error);
    }
    ~FletchFanIn()
    {
        fletch_fan_in_destroy(fan_in_, nullptr, nullptr);
    }
    FletchFanIn(const FletchFanIn &) = delete;
    FletchFanIn &operator=(const FletchFanIn &) = delete;

    bool pop(E &element)
    {
        return fletch_fan_in_try_pop(fan_in_, &element) == FLETCH_DONE;
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        std::size_t popped = 0;
        (void)!fletch_fan_in_try_pop_many(fan_in_, elements, max_count, &popped);
        return popped;
    }

  protected:
    fletch_fan_in *fan_in_ = nullptr;
};

/** The same beside kIdle lanes that were used once and are idle. */
template <class E, unsigned kIdle> class FletchFanInBesideIdle : public FletchFanIn<E>
{
  public:
    static constexpr const char *kName = "fletching, 62 idle lanes beside";
    static_assert(kIdle == 62, "the name says so");
    using Consumer = PlainConsumer<FletchFanInBesideIdle, E>;

    explicit FletchFanInBesideIdle(const Shape &shape) : FletchFanIn<E>(shape, kIdle)
    {
        for (unsigned i = 0; i < kIdle; ++i) {
            E element = {};
            typename FletchFanIn<E>::Producer once(*this, i);
            if (!once.push(element) || !this->pop(element))
                std::abort(); /* it is empty */
        }
    }
};

} // namespace bench

#endif
