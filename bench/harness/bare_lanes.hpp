#ifndef BENCH_HARNESS_BARE_LANES_HPP
#define BENCH_HARNESS_BARE_LANES_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "harness/bare_ring.hpp"
#include "harness/broadcast.hpp"

/** What several producers to one consumer, and one producer to several consumers, would do without
 *  what a library owes its callers: as in bare_ring.hpp, of which these are made. */

namespace bench
{

/** A bare ring for each producer; the consumer takes a run from one after the other. No lane comes,
 *  goes or falls asleep. */
template <class Ring> class BareLanes
{
    static constexpr std::size_t kRun = 256;

  public:
    using Value = typename Ring::Value;

    explicit BareLanes(const Shape &shape)
    {
        for (unsigned i = 0; i < shape.producers; ++i)
            lanes_.push_back(std::make_unique<Ring>(Shape{shape.capacity / shape.producers, 1}));
    }

    class Producer : public Ring::Producer
    {
      public:
        Producer(BareLanes &lanes, unsigned index) : Ring::Producer(*lanes.lanes_[index], index)
        {
        }
    };

    class Consumer
    {
      public:
        explicit Consumer(BareLanes &lanes)
        {
            for (auto &lane : lanes.lanes_)
                ends_.emplace_back(*lane);
        }
        bool pop(Value &element)
        {
            return pop_many(&element, 1) == 1;
        }
        std::size_t pop_many(Value *elements, std::size_t max_count)
        {
            for (std::size_t looks = 0; looks <= ends_.size(); ++looks) {
                const std::size_t wanted = std::min(max_count, left_);
                const std::size_t popped = wanted > 0 ? ends_[turn_].pop_many(elements, wanted) : 0;
                left_ -= popped;
                if (popped > 0)
                    return popped;
                turn_ = turn_ + 1 == ends_.size() ? 0 : turn_ + 1;
                left_ = kRun;
            }
            return 0;
        }

      private:
        std::vector<typename Ring::Consumer> ends_;
        std::size_t turn_ = 0, left_ = kRun;
    };

  private:
    std::vector<std::unique_ptr<Ring>> lanes_;
};

/** Numbers in the slots, and a position of each consumer, which it publishes eight times a lap and
 *  when it finds nothing. Nobody joins, leaves or is removed. */
template <class E> class BareBroadcast
{
    struct alignas(32) Slot {
        std::atomic<std::uint64_t> sequence{0};
        E element;
    };
    static_assert(sizeof(Slot) == 32, "for elements of 24 bytes");
    struct alignas(128) Gate {
        std::atomic<std::uint64_t> value{0};
    };

  public:
    using Value = E;

    explicit BareBroadcast(const BroadcastShape &shape)
        : slots_(new Slot[shape.capacity]), mask_(shape.capacity - 1), gates_(shape.consumers),
          diamond_(shape.diamond)
    {
    }

    class Producer
    {
      public:
        explicit Producer(BareBroadcast &ring) : ring_(&ring)
        {
        }
        bool push(const E &element)
        {
            if (tail_ - least_ > ring_->mask_)
                least_ = ring_->least(ring_->gates_.size());
            if (tail_ - least_ > ring_->mask_)
                return false;
            Slot &slot = ring_->slots_[tail_ & ring_->mask_];
            slot.element = element;
            slot.sequence.store(++tail_, std::memory_order_release);
            return true;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            return push_each(*this, elements, count);
        }

      private:
        BareBroadcast *ring_;
        std::uint64_t tail_ = 0, least_ = 0;
    };

    class Consumer
    {
      public:
        Consumer(BareBroadcast &ring, unsigned index)
            : ring_(&ring), index_(index), step_(ring.diamond_ ? 0 : (ring.mask_ + 1) / 8 - 1)
        {
        }
        bool pop(E &element)
        {
            Slot &slot = ring_->slots_[head_ & ring_->mask_];
            if (!is_there(slot)) {
                publish();
                return false;
            }
            element = slot.element;
            if (ring_->gates_.size() == 1)
                give_lines_back(&slot, sizeof slot);
            if ((++head_ & step_) == 0)
                publish();
            return true;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return pop_each(*this, elements, max_count);
        }

      private:
        bool is_there(const Slot &slot)
        {
            if (!ring_->diamond_ || index_ < 2)
                return slot.sequence.load(std::memory_order_acquire) == head_ + 1;
            if (seen_ == head_)
                seen_ = ring_->least(2);
            return seen_ != head_;
        }
        void publish()
        {
            ring_->gates_[index_].value.store(head_, std::memory_order_release);
        }
        BareBroadcast *ring_;
        unsigned index_;
        std::uint64_t step_, head_ = 0, seen_ = 0;
    };

  private:
    /** Of the first `count` gates. */
    std::uint64_t least(std::size_t count) const
    {
        std::uint64_t least = gates_[0].value.load(std::memory_order_acquire);
        for (std::size_t i = 1; i < count; ++i)
            least = std::min(least, gates_[i].value.load(std::memory_order_acquire));
        return least;
    }
    std::unique_ptr<Slot[]> slots_;
    std::size_t mask_;
    std::vector<Gate> gates_;
    bool diamond_;
};

/** Items a second, one by one, the middle of three short runs. */
template <Wait kWait, class Ring> double bare_broadcast_rate(const BroadcastShape &shape)
{
    constexpr std::uint64_t kCount = 400000;
    std::vector<double> rates;
    for (int i = 0; i < 3; ++i)
        rates.push_back(run_broadcast<kWait, Ring>(shape, 1, kCount).values[0]);
    return spread_of(rates).median;
}

} // namespace bench

#endif
