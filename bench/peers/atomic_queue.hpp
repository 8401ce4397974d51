#ifndef BENCH_PEERS_ATOMIC_QUEUE_HPP
#define BENCH_PEERS_ATOMIC_QUEUE_HPP

#include <algorithm>
#include <memory>

#include <atomic_queue/atomic_queue.h>

#include "harness/ends.hpp"

namespace bench
{

/** Any element: a byte of state beside each. The capacity is fixed by the type, since the form that
 *  takes it at run time holds at least 4,096. kOptimist: the calls that wait inside. */
template <class E, unsigned kCapacity, bool kSpsc, bool kOptimist> class AtomicQueue
{
  public:
    static constexpr const char *kName =
        kSpsc ? (kOptimist ? "atomic_queue 2 SPSC optimist" : "atomic_queue 2 SPSC")
              : (kOptimist ? "atomic_queue 2 optimist" : "atomic_queue 2");
    using Value = E;
    using Producer = PlainProducer<AtomicQueue, E>;
    using Consumer = PlainConsumer<AtomicQueue, E>;

    explicit AtomicQueue(const Shape &) : queue_(new Queue)
    {
    }
    bool push(const E &element)
    {
        if constexpr (!kOptimist)
            return queue_->try_push(element);
        if (!kSpsc && queue_->was_full())
            return false; /* threads share processors: waiting inside would never yield */
        queue_->push(element);
        return true;
    }
    bool pop(E &element)
    {
        if constexpr (!kOptimist)
            return queue_->try_pop(element);
        if (!kSpsc && queue_->was_empty())
            return false;
        element = queue_->pop();
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
    using Queue = atomic_queue::AtomicQueue2<E, kCapacity, true, true, false, kSpsc>;
    std::unique_ptr<Queue> queue_;
};

/** Words that are never zero; the state is the element itself. */
template <class E, unsigned kCapacity, bool kSpsc, bool kOptimist> class AtomicQueueOfWords
{
    static_assert(sizeof(E) == 8);

  public:
    static constexpr const char *kName =
        kOptimist ? "atomic_queue optimist [8 B]" : "atomic_queue [8 B]";
    using Value = E;
    using Producer = PlainProducer<AtomicQueueOfWords, E>;
    using Consumer = PlainConsumer<AtomicQueueOfWords, E>;

    explicit AtomicQueueOfWords(const Shape &) : queue_(new Queue)
    {
    }
    bool push(const E &element)
    {
        if constexpr (!kOptimist)
            return queue_->try_push(element.words[0]);
        if (!kSpsc && queue_->was_full())
            return false;
        queue_->push(element.words[0]);
        return true;
    }
    bool pop(E &element)
    {
        if constexpr (!kOptimist)
            return queue_->try_pop(element.words[0]);
        if (!kSpsc && queue_->was_empty())
            return false;
        element.words[0] = queue_->pop();
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
    using Queue = atomic_queue::AtomicQueue<std::uint64_t, kCapacity, 0, true, true, false, kSpsc>;
    std::unique_ptr<Queue> queue_;
};

} // namespace bench

#endif
