#ifndef BENCH_PEERS_MUTEX_QUEUE_HPP
#define BENCH_PEERS_MUTEX_QUEUE_HPP

#include <algorithm>
#include <cstddef>
#include <vector>

#include <pthread.h>

#include "harness/ends.hpp"

namespace bench
{

/** What people write first: a ring under a mutex, with one condition variable for room and one for
 *  elements. Signals after unlocking, and only if somebody sleeps. Its calls wait. */
template <class E> class MutexQueue
{
  public:
    static constexpr const char *kName = "mutex + 2 condition variables";
    using Value = E;
    using Producer = PlainProducer<MutexQueue, E>;
    using Consumer = PlainConsumer<MutexQueue, E>;

    explicit MutexQueue(const Shape &shape) : slots_(shape.capacity)
    {
    }
    ~MutexQueue()
    {
        pthread_cond_destroy(&elements_came_);
        pthread_cond_destroy(&room_came_);
        pthread_mutex_destroy(&mutex_);
    }
    MutexQueue(const MutexQueue &) = delete;
    MutexQueue &operator=(const MutexQueue &) = delete;

    bool push(const E &element)
    {
        return push_many(&element, 1) == 1;
    }
    bool pop(E &element)
    {
        return pop_many(&element, 1) == 1;
    }

    std::size_t push_many(const E *elements, std::size_t count)
    {
        pthread_mutex_lock(&mutex_);
        while (used_ == slots_.size())
            sleep(room_came_, sleeping_producers_);
        const std::size_t n = std::min(count, slots_.size() - used_);
        for (std::size_t i = 0; i < n; ++i) {
            slots_[tail_] = elements[i];
            tail_ = tail_ + 1 == slots_.size() ? 0 : tail_ + 1;
        }
        used_ += n;
        const bool wake = sleeping_consumers_ != 0;
        pthread_mutex_unlock(&mutex_);
        if (wake)
            pthread_cond_signal(&elements_came_);
        return n;
    }

    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        pthread_mutex_lock(&mutex_);
        while (used_ == 0)
            sleep(elements_came_, sleeping_consumers_);
        const std::size_t n = std::min(max_count, used_);
        for (std::size_t i = 0; i < n; ++i) {
            elements[i] = slots_[head_];
            head_ = head_ + 1 == slots_.size() ? 0 : head_ + 1;
        }
        used_ -= n;
        const bool wake = sleeping_producers_ != 0;
        pthread_mutex_unlock(&mutex_);
        if (wake)
            pthread_cond_signal(&room_came_);
        return n;
    }

  private:
    void sleep(pthread_cond_t &condition, unsigned &sleepers)
    {
        ++sleepers;
        pthread_cond_wait(&condition, &mutex_);
        --sleepers;
    }

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t elements_came_ = PTHREAD_COND_INITIALIZER;
    pthread_cond_t room_came_ = PTHREAD_COND_INITIALIZER;
    std::vector<E> slots_;
    std::size_t head_ = 0, tail_ = 0, used_ = 0;
    unsigned sleeping_producers_ = 0, sleeping_consumers_ = 0;
};

} // namespace bench

#endif
