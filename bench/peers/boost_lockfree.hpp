#ifndef BENCH_PEERS_BOOST_LOCKFREE_HPP
#define BENCH_PEERS_BOOST_LOCKFREE_HPP

#include <algorithm>

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <boost/version.hpp>

#include "harness/ends.hpp"

namespace bench
{

template <class E> class BoostSpscQueue
{
  public:
    static constexpr const char *kName = "Boost spsc_queue";
    using Value = E;
    using Producer = PlainProducer<BoostSpscQueue, E>;
    using Consumer = PlainConsumer<BoostSpscQueue, E>;

    explicit BoostSpscQueue(const Shape &shape) : queue_(shape.capacity)
    {
    }
    bool push(const E &element)
    {
        return queue_.push(element);
    }
    bool pop(E &element)
    {
        return queue_.pop(element);
    }
    std::size_t push_many(const E *elements, std::size_t count)
    {
        return queue_.push(elements, count);
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        return queue_.pop(elements, max_count);
    }

  private:
    boost::lockfree::spsc_queue<E> queue_;
};

/** Nodes from a fixed pool, which holds at most 65,534: for 65,536 elements it gets 65,000. */
template <class E> class BoostQueue
{
  public:
    static constexpr const char *kName = "Boost queue";
    using Value = E;
    using Producer = PlainProducer<BoostQueue, E>;
    using Consumer = PlainConsumer<BoostQueue, E>;

    explicit BoostQueue(const Shape &shape) : queue_(std::min<std::size_t>(shape.capacity, 65000))
    {
    }
    bool push(const E &element)
    {
        return queue_.bounded_push(element);
    }
    bool pop(E &element)
    {
        return queue_.pop(element);
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
    boost::lockfree::queue<E, boost::lockfree::fixed_sized<true>> queue_;
};

} // namespace bench

#endif
