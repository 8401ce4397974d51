#ifndef BENCH_HARNESS_BARE_RING_HPP
#define BENCH_HARNESS_BARE_RING_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "harness/contest.hpp"
#include "harness/ends.hpp"
#include "harness/machine.hpp"
#include "harness/stream.hpp"

/** What a ring with a number in each slot, or one number for all, would do without everything that
 *  a library owes its callers: inlined into the loops of the test, positions in registers, a power
 *  of two slots, no promise of capacity, no closing, no waiting, no statistics, no other process.
 *  Its rates stand beside ours as floors: what is left to gain, and what no call can reach. */

namespace bench
{

/** Of each line that ends in what was read, one word is stored as it is: see give_line_back. */
inline void give_lines_back(void *from, std::size_t bytes)
{
    constexpr std::uintptr_t kLine = 64;
    const auto first = reinterpret_cast<std::uintptr_t>(from);
    for (std::uintptr_t end = first / kLine * kLine + kLine; end <= first + bytes; end += kLine)
        give_line_back(reinterpret_cast<std::uint64_t *>(end - sizeof(std::uint64_t)));
}

/** Numbers in the slots. kMany: producers claim by compare-and-swap. */
template <class E, bool kMany> class BareRing
{
    static constexpr std::size_t kSlotBytes = sizeof(E) == 8 ? 16 : sizeof(E) <= 24 ? 32 : 64;
    struct alignas(kSlotBytes) Slot {
        std::atomic<std::uint64_t> sequence{0};
        E element;
    };

  public:
    using Value = E;
    explicit BareRing(const Shape &shape) : slots_(new Slot[shape.capacity]), size_(shape.capacity)
    {
    }

    class Producer
    {
      public:
        Producer(BareRing &ring, unsigned) : ring_(&ring), mask_(ring.size_ - 1)
        {
        }
        bool push(const E &element)
        {
            if constexpr (kMany)
                tail_ = ring_->tail_.load(std::memory_order_relaxed);
            do {
                if (static_cast<std::int64_t>(tail_ - head_seen_) > std::int64_t(mask_))
                    head_seen_ = ring_->head_.load(std::memory_order_acquire);
                if (static_cast<std::int64_t>(tail_ - head_seen_) > std::int64_t(mask_))
                    return false;
            } while (kMany && !ring_->tail_.compare_exchange_weak(tail_, tail_ + 1,
                                                                  std::memory_order_relaxed));
            Slot &slot = ring_->slots_[tail_ & mask_];
            slot.element = element;
            slot.sequence.store(++tail_, std::memory_order_release);
            return true;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            return push_each(*this, elements, count);
        }

      private:
        BareRing *ring_;
        std::uint64_t mask_, tail_ = 0, head_seen_ = 0;
    };

    class Consumer
    {
      public:
        explicit Consumer(BareRing &ring) : ring_(&ring), mask_(ring.size_ - 1)
        {
        }
        bool pop(E &element)
        {
            Slot &slot = ring_->slots_[head_ & mask_];
            if (slot.sequence.load(std::memory_order_acquire) != head_ + 1) {
                ring_->head_.store(head_, std::memory_order_release);
                return false;
            }
            element = slot.element;
            give_lines_back(&slot, sizeof slot);
            if ((++head_ & (mask_ / 8)) == 0)
                ring_->head_.store(head_, std::memory_order_release);
            return true;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return pop_each(*this, elements, max_count);
        }

      private:
        BareRing *ring_;
        std::uint64_t mask_, head_ = 0;
    };

  private:
    std::unique_ptr<Slot[]> slots_;
    std::size_t size_;
    alignas(128) std::atomic<std::uint64_t> tail_{0}; /* kMany */
    alignas(128) std::atomic<std::uint64_t> head_{0};
};

/** One number for all, batches filled and read where they lie. */
template <class E> class BareBatches
{
  public:
    static constexpr bool kInPlace = true;
    using Value = E;
    explicit BareBatches(const Shape &shape)
        : lines_(new Line[shape.capacity]), size_(shape.capacity)
    {
        elements_ = reinterpret_cast<E *>(lines_.get());
    }

    class Producer
    {
      public:
        Producer(BareBatches &ring, unsigned) : ring_(&ring)
        {
        }
        bool push(const E &element)
        {
            Spans<E> spans;
            if (claim(1, spans) == 0)
                return false;
            spans.first[0] = element;
            commit(1);
            return true;
        }
        std::size_t claim(std::size_t count, Spans<E> &spans)
        {
            if (ring_->size_ - (tail_ - head_seen_) < count)
                head_seen_ = ring_->head_.load(std::memory_order_acquire);
            const std::size_t room = ring_->size_ - (tail_ - head_seen_);
            return ring_->show(tail_, room < count ? room : count, spans);
        }
        void commit(std::size_t count)
        {
            tail_ += count;
            ring_->tail_.store(tail_, std::memory_order_release);
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

      private:
        BareBatches *ring_;
        std::uint64_t tail_ = 0, head_seen_ = 0;
    };

    class Consumer
    {
      public:
        explicit Consumer(BareBatches &ring) : ring_(&ring)
        {
        }
        bool pop(E &element)
        {
            Spans<E> spans;
            if (peek(1, spans) == 0)
                return false;
            element = spans.first[0];
            release(1);
            return true;
        }
        std::size_t peek(std::size_t count, Spans<E> &spans)
        {
            if (tail_seen_ - head_ < count)
                tail_seen_ = ring_->tail_.load(std::memory_order_acquire);
            if (tail_seen_ == head_)
                ring_->head_.store(head_, std::memory_order_release);
            const std::size_t there = tail_seen_ - head_;
            const std::size_t seen = ring_->show(head_, there < count ? there : count, shown_);
            spans = shown_;
            return seen;
        }
        /** All that was shown, as the test does. */
        void release(std::size_t count)
        {
            give_lines_back(shown_.first, shown_.first_count * sizeof(E));
            give_lines_back(shown_.second, shown_.second_count * sizeof(E));
            head_ += count;
            if ((head_ ^ (head_ - count)) & ~(ring_->size_ / 8 - 1))
                ring_->head_.store(head_, std::memory_order_release);
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

      private:
        BareBatches *ring_;
        std::uint64_t head_ = 0, tail_seen_ = 0;
        Spans<E> shown_ = {};
    };

  private:
    struct alignas(64) Line {
        E element; /* room for at least that */
    };

    std::size_t show(std::uint64_t position, std::size_t count, Spans<E> &spans)
    {
        const std::size_t index = position & (size_ - 1);
        const std::size_t first = count < size_ - index ? count : size_ - index;
        spans = {elements_ + index, first, elements_, count - first};
        return count;
    }

    std::unique_ptr<Line[]> lines_;
    E *elements_;
    std::size_t size_;
    alignas(128) std::atomic<std::uint64_t> tail_{0};
    alignas(128) std::atomic<std::uint64_t> head_{0};
};

/** Items a second of a bare ring, the middle of three short runs. */
template <Wait kWait, class Ring> double bare_rate(const StreamPlan &plan)
{
    constexpr std::uint64_t kCount = 400000;
    double rates[3];
    for (double &rate : rates)
        rate = run_stream<kWait, Ring>(plan, kCount).values[0];
    return spread_of({rates[0], rates[1], rates[2]}).median;
}

} // namespace bench

#endif
