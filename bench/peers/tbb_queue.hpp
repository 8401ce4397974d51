#ifndef BENCH_PEERS_TBB_QUEUE_HPP
#define BENCH_PEERS_TBB_QUEUE_HPP

#include <oneapi/tbb/concurrent_queue.h>
#include <oneapi/tbb/version.h>

#include "harness/ends.hpp"

namespace bench
{

/** kWaits: the calls that wait, instead of the try ones. */
template <class E, bool kWaits = false> class TbbBoundedQueue
{
  public:
    static constexpr const char *kName = "oneTBB bounded queue";
    using Value = E;
    using Producer = PlainProducer<TbbBoundedQueue, E>;
    using Consumer = PlainConsumer<TbbBoundedQueue, E>;

    explicit TbbBoundedQueue(const Shape &shape)
    {
        queue_.set_capacity(static_cast<std::ptrdiff_t>(shape.capacity));
    }
    bool push(const E &element)
    {
        if constexpr (!kWaits)
            return queue_.try_push(element);
        queue_.push(element);
        return true;
    }
    bool pop(E &element)
    {
        if constexpr (!kWaits)
            return queue_.try_pop(element);
        queue_.pop(element);
        return true;
    }
    std::size_t push_many(const E *elements, std::size_t count)
    {
        return push_each(*this, elements, count);
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        return pop_each(*this, elements, max_count);
    }

  private:
    tbb::concurrent_bounded_queue<E> queue_;
};

} // namespace bench

#endif
