#ifndef BENCH_PEERS_SPSC_EACH_HPP
#define BENCH_PEERS_SPSC_EACH_HPP

#include <cstdint>
#include <memory>
#include <vector>

#include <boost/lockfree/spsc_queue.hpp>

#include "harness/broadcast.hpp"

namespace bench
{

/** A Boost ring for each consumer; the producer pushes to all. In a diamond the two sides hand
 *  elements on to a ring each, and the last takes one from both. */
template <class E> class BoostEach
{
    using Queue = boost::lockfree::spsc_queue<E>;

  public:
    static constexpr const char *kName = "a Boost spsc_queue each";
    using Value = E;

    explicit BoostEach(const BroadcastShape &shape) : diamond_(shape.diamond)
    {
        for (unsigned i = 0; i < (diamond_ ? 4 : shape.consumers); ++i)
            queues_.push_back(std::make_unique<Queue>(shape.capacity));
    }

    /** A call that does not get through goes on where it stopped, with the same elements. */
    class Producer
    {
      public:
        explicit Producer(BoostEach &each)
            : each_(&each), count_(each.diamond_ ? 2 : each.queues_.size()), sent_(count_)
        {
        }
        bool push(const E &element)
        {
            for (; next_ < count_; ++next_) {
                if (!each_->queues_[next_]->push(element))
                    return false;
            }
            next_ = 0;
            return true;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            bool all = true;
            for (std::size_t i = 0; i < count_; ++i) {
                if (sent_[i] < count)
                    sent_[i] += each_->queues_[i]->push(elements + sent_[i], count - sent_[i]);
                all = all && sent_[i] == count;
            }
            if (!all)
                return 0;
            sent_.assign(count_, 0);
            return count;
        }

      private:
        BoostEach *each_;
        std::size_t count_, next_ = 0;
        std::vector<std::size_t> sent_;
    };

    class Consumer
    {
      public:
        Consumer(BoostEach &each, unsigned index) : each_(&each), index_(index)
        {
        }
        bool pop(E &element)
        {
            return pop_many(&element, 1) == 1;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            if (!each_->diamond_)
                return each_->queues_[index_]->pop(elements, max_count);
            return index_ == 2 ? pop_both(elements, max_count) : pop_on(elements, max_count);
        }

      private:
        /** As many as the ring behind takes. */
        std::size_t pop_on(E *elements, std::size_t max_count)
        {
            Queue &onward = *each_->queues_[2 + index_];
            const std::size_t room = onward.write_available();
            const std::size_t popped =
                each_->queues_[index_]->pop(elements, room < max_count ? room : max_count);
            onward.push(elements, popped);
            return popped;
        }
        std::size_t pop_both(E *elements, std::size_t max_count)
        {
            Queue &left = *each_->queues_[2], &right = *each_->queues_[3];
            std::size_t there = left.read_available();
            if (there > right.read_available())
                there = right.read_available();
            const std::size_t count = there < max_count ? there : max_count;
            right.pop(elements, count);
            return left.pop(elements, count);
        }
        BoostEach *each_;
        unsigned index_;
    };

  private:
    bool diamond_;
    std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace bench

#endif
