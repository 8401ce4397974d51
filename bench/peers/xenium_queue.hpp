#ifndef BENCH_PEERS_XENIUM_QUEUE_HPP
#define BENCH_PEERS_XENIUM_QUEUE_HPP

#include <xenium/vyukov_bounded_queue.hpp>

#include "harness/ends.hpp"

namespace bench
{

template <class E> class XeniumVyukovQueue
{
  public:
    static constexpr const char *kName = "xenium vyukov_bounded_queue";
    using Value = E;
    using Producer = PlainProducer<XeniumVyukovQueue, E>;
    using Consumer = PlainConsumer<XeniumVyukovQueue, E>;

    explicit XeniumVyukovQueue(const Shape &shape) : queue_(shape.capacity)
    {
    }
    /* The weak calls do not wait inside for another thread's half-done one. */
    bool push(const E &element)
    {
        return queue_.try_push_weak(element);
    }
    bool pop(E &element)
    {
        return queue_.try_pop_weak(element);
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
    xenium::vyukov_bounded_queue<E> queue_;
};

} // namespace bench

#endif
