#ifndef BENCH_PEERS_MOODYCAMEL_QUEUES_HPP
#define BENCH_PEERS_MOODYCAMEL_QUEUES_HPP

#include <concurrentqueue/concurrentqueue.h>
#include <readerwriterqueue/readerwriterqueue.h>

#include "harness/ends.hpp"

namespace bench
{

template <class E> class MoodycamelReaderWriterQueue
{
  public:
    static constexpr const char *kName = "moodycamel ReaderWriterQueue";
    using Value = E;
    using Producer = PlainProducer<MoodycamelReaderWriterQueue, E>;
    using Consumer = PlainConsumer<MoodycamelReaderWriterQueue, E>;

    explicit MoodycamelReaderWriterQueue(const Shape &shape) : queue_(shape.capacity)
    {
    }
    bool push(const E &element)
    {
        return queue_.try_enqueue(element);
    }
    bool pop(E &element)
    {
        return queue_.try_dequeue(element);
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
    moodycamel::ReaderWriterQueue<E> queue_;
};

/** Producers and the consumer with tokens; bounded by what is allocated at first. */
template <class E> class MoodycamelConcurrentQueue
{
    struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
        static constexpr std::size_t EXPLICIT_INITIAL_INDEX_SIZE = 4096; /* for 64 Ki at once */
    };
    using Queue = moodycamel::ConcurrentQueue<E, Traits>;

  public:
    static constexpr const char *kName = "moodycamel ConcurrentQueue";
    using Value = E;

    explicit MoodycamelConcurrentQueue(const Shape &shape)
        : queue_(shape.capacity, shape.producers, 0)
    {
    }

    class Producer
    {
      public:
        Producer(MoodycamelConcurrentQueue &queue, unsigned)
            : queue_(&queue.queue_), token_(queue.queue_)
        {
        }
        bool push(const E &element)
        {
            return queue_->try_enqueue(token_, element);
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            return queue_->try_enqueue_bulk(token_, elements, count) ? count : 0;
        }

      private:
        Queue *queue_;
        moodycamel::ProducerToken token_;
    };

    class Consumer
    {
      public:
        explicit Consumer(MoodycamelConcurrentQueue &queue)
            : queue_(&queue.queue_), token_(queue.queue_)
        {
        }
        bool pop(E &element)
        {
            return queue_->try_dequeue(token_, element);
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return queue_->try_dequeue_bulk(token_, elements, max_count);
        }

      private:
        Queue *queue_;
        moodycamel::ConsumerToken token_;
    };

  private:
    Queue queue_;
};

} // namespace bench

#endif
