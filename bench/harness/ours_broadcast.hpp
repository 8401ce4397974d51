#ifndef BENCH_HARNESS_OURS_BROADCAST_HPP
#define BENCH_HARNESS_OURS_BROADCAST_HPP

#include <cstdlib>

#include <fletching/broadcast_consumer.h>
#include <fletching/broadcast_ring.h>

#include "harness/broadcast.hpp"
#include "harness/ours.hpp"

namespace bench
{

/** The library's broadcast ring, across its shared object. Batches of the cursor form, which has no
 *  gaps, are filled and read in place. */
template <class E, fletch_ring_form kForm> class FletchBroadcast
{
  public:
    static constexpr const char *kName =
        kForm == FLETCH_RING_CURSOR ? "fletching in place" : "fletching";
    static constexpr bool kInPlace = kForm == FLETCH_RING_CURSOR;
    using Value = E;

    explicit FletchBroadcast(const BroadcastShape &shape) : diamond_(shape.diamond)
    {
        fletch_broadcast_ring_options options = {};
        options.struct_size = sizeof options;
        options.element_bytes = sizeof(E);
        options.capacity = shape.capacity;
        options.consumers_max = shape.consumers;
        options.form = kForm;
        fletch_error error;
        must(fletch_broadcast_ring_create(&options, nullptr, &ring_, &error), error);
        for (unsigned i = 0; i < shape.consumers; ++i)
            join(i);
    }
    ~FletchBroadcast()
    {
        fletch_broadcast_ring_destroy(ring_);
    }
    FletchBroadcast(const FletchBroadcast &) = delete;
    FletchBroadcast &operator=(const FletchBroadcast &) = delete;

    class Producer
    {
      public:
        explicit Producer(FletchBroadcast &ring) : ring_(ring.ring_)
        {
        }
        bool push(const E &element)
        {
            return fletch_broadcast_ring_try_push(ring_, &element) == FLETCH_DONE;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            std::size_t pushed = 0;
            (void)!fletch_broadcast_ring_try_push_many(ring_, elements, count, &pushed);
            return pushed;
        }
        std::size_t claim(std::size_t count, Spans<E> &out)
        {
            if (fletch_broadcast_ring_try_claim(ring_, count, &claim_) != FLETCH_DONE)
                return 0;
            return show(claim_.spans, out);
        }
        void commit(std::size_t count)
        {
            fletch_broadcast_ring_commit(ring_, &claim_, count);
        }

      private:
        fletch_broadcast_ring *ring_;
        fletch_broadcast_claim claim_ = {};
    };

    class Consumer
    {
      public:
        Consumer(FletchBroadcast &ring, unsigned index) : consumer_(ring.consumers_[index])
        {
        }
        bool pop(E &element)
        {
            return fletch_broadcast_consumer_try_pop(consumer_, &element) == FLETCH_DONE;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            std::size_t popped = 0;
            (void)!fletch_broadcast_consumer_try_pop_many(consumer_, elements, max_count, &popped);
            return popped;
        }
        std::size_t peek(std::size_t count, Spans<E> &out)
        {
            fletch_ring_spans spans;
            if (fletch_broadcast_consumer_try_peek(consumer_, count, &spans) != FLETCH_DONE)
                return 0;
            return show(spans, out);
        }
        void release(std::size_t count)
        {
            fletch_broadcast_consumer_release(consumer_, count);
        }

      private:
        fletch_broadcast_consumer *consumer_;
    };

  private:
    static std::size_t show(const fletch_ring_spans &spans, Spans<E> &out)
    {
        if (spans.stride_bytes != sizeof(E))
            std::abort();
        out = {static_cast<E *>(spans.first), spans.first_count, static_cast<E *>(spans.second),
               spans.second_count};
        return spans.first_count + spans.second_count;
    }

    void join(unsigned index)
    {
        fletch_broadcast_join_options options = {};
        options.struct_size = sizeof options;
        options.leads = diamond_ && index < 2;
        if (diamond_ && index == 2) {
            options.behind = consumers_;
            options.behind_count = 2;
        }
        fletch_error error;
        must(fletch_broadcast_ring_join(ring_, &options, &consumers_[index], &error), error);
    }

    bool diamond_;
    fletch_broadcast_ring *ring_ = nullptr;
    fletch_broadcast_consumer *consumers_[3] = {};
};

} // namespace bench

#endif
