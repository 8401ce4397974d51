#ifndef BENCH_PEERS_CURSOR_RING_HPP
#define BENCH_PEERS_CURSOR_RING_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "harness/broadcast.hpp"

namespace bench
{

/** The ring of the LMAX Disruptor as textbooks have it: one cursor of the producer, a sequence of
 *  each consumer, all on lines of their own; the producer keeps the least of the sequences that it
 *  has read, a consumer the cursor (or the sequences of those that it is behind). A power of two
 *  slots without gaps; each step or batch is published by one store. */
template <class E, bool kBatches = false> class CursorRing
{
    struct alignas(128) Sequence {
        std::atomic<std::uint64_t> value{0};
    };

  public:
    static constexpr const char *kName = "textbook cursor ring";
    static constexpr bool kInPlace = kBatches;
    using Value = E;

    explicit CursorRing(const BroadcastShape &shape)
        : elements_(new E[shape.capacity]), mask_(shape.capacity - 1), sequences_(shape.consumers),
          diamond_(shape.diamond)
    {
    }

    class Producer
    {
      public:
        explicit Producer(CursorRing &ring) : ring_(&ring)
        {
        }
        bool push(const E &element)
        {
            if (room(1) == 0)
                return false;
            ring_->elements_[tail_ & ring_->mask_] = element;
            commit(1);
            return true;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            Spans<E> spans;
            const std::size_t claimed = claim(count, spans);
            std::copy_n(elements, spans.first_count, spans.first);
            std::copy_n(elements + spans.first_count, spans.second_count, spans.second);
            commit(claimed);
            return claimed;
        }
        std::size_t claim(std::size_t count, Spans<E> &spans)
        {
            return ring_->show(tail_, std::min(room(count), count), spans);
        }
        void commit(std::size_t count)
        {
            tail_ += count;
            ring_->cursor_.value.store(tail_, std::memory_order_release);
        }

      private:
        std::size_t room(std::size_t wanted)
        {
            const std::size_t size = ring_->mask_ + 1;
            if (size - (tail_ - least_) < wanted)
                least_ = ring_->least(0, ring_->sequences_.size());
            return size - (tail_ - least_);
        }
        CursorRing *ring_;
        std::uint64_t tail_ = 0, least_ = 0;
    };

    class Consumer
    {
      public:
        Consumer(CursorRing &ring, unsigned index) : ring_(&ring), index_(index)
        {
        }
        bool pop(E &element)
        {
            if (there(1) == 0)
                return false;
            element = ring_->elements_[head_ & ring_->mask_];
            release(1);
            return true;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            Spans<E> spans;
            const std::size_t seen = peek(max_count, spans);
            std::copy_n(spans.first, spans.first_count, elements);
            std::copy_n(spans.second, spans.second_count, elements + spans.first_count);
            release(seen);
            return seen;
        }
        std::size_t peek(std::size_t count, Spans<E> &spans)
        {
            return ring_->show(head_, std::min(there(count), count), spans);
        }
        void release(std::size_t count)
        {
            head_ += count;
            ring_->sequences_[index_].value.store(head_, std::memory_order_release);
        }

      private:
        std::size_t there(std::size_t wanted)
        {
            if (seen_ - head_ < wanted)
                seen_ = ring_->diamond_ && index_ == 2
                            ? ring_->least(0, 2)
                            : ring_->cursor_.value.load(std::memory_order_acquire);
            return seen_ - head_;
        }
        CursorRing *ring_;
        unsigned index_;
        std::uint64_t head_ = 0, seen_ = 0;
    };

  private:
    std::uint64_t least(std::size_t from, std::size_t to) const
    {
        std::uint64_t least = sequences_[from].value.load(std::memory_order_acquire);
        for (std::size_t i = from + 1; i < to; ++i)
            least = std::min(least, sequences_[i].value.load(std::memory_order_acquire));
        return least;
    }
    std::size_t show(std::uint64_t position, std::size_t count, Spans<E> &spans)
    {
        const std::size_t index = position & mask_;
        const std::size_t first = std::min<std::size_t>(count, mask_ + 1 - index);
        spans = {&elements_[index], first, &elements_[0], count - first};
        return count;
    }

    std::unique_ptr<E[]> elements_;
    std::size_t mask_;
    std::vector<Sequence> sequences_;
    bool diamond_;
    Sequence cursor_;
};

} // namespace bench

#endif
