#ifndef BENCH_HARNESS_ENDS_HPP
#define BENCH_HARNESS_ENDS_HPP

#include <cstddef>

/** What every queue of a benchmark looks like. An adapter `Queue` of elements `E` has
 *
 *      static constexpr const char *kName;
 *      using Value = E;
 *      explicit Queue(const Shape &);
 *      class Producer { Producer(Queue &, unsigned index); bool push(const E &);
 *                       size_t push_many(const E *, size_t count); };
 *      class Consumer { explicit Consumer(Queue &); bool pop(E &);
 *                       size_t pop_many(E *, size_t max_count); };
 *
 *  push and pop answer whether they did; push_many and pop_many how many. A queue that only waits
 *  answers when it is done. One whose batches are filled and read in place has also
 *      static constexpr bool kInPlace = true;
 *      size_t Producer::claim(size_t, Spans<E> &), void commit(size_t),
 *      size_t Consumer::peek(size_t, Spans<E> &),  void release(size_t). */

#if defined(__clang__)
#define BENCH_OPAQUE __attribute__((noinline))
#else
#define BENCH_OPAQUE __attribute__((noipa))
#endif

namespace bench
{

struct Shape {
    std::size_t capacity;
    unsigned producers;
};

template <class E> struct Spans {
    E *first;
    std::size_t first_count;
    E *second;
    std::size_t second_count;
};

template <class Queue, class = void> inline constexpr bool kInPlace = false;
template <class Queue>
inline constexpr bool kInPlace<Queue, decltype(void(Queue::kInPlace))> = Queue::kInPlace;

/** Ends of a queue that does not tell its producers apart. */
template <class Queue, class E> class PlainProducer
{
  public:
    PlainProducer(Queue &queue, unsigned) : queue_(&queue)
    {
    }
    bool push(const E &element)
    {
        return queue_->push(element);
    }
    std::size_t push_many(const E *elements, std::size_t count)
    {
        return queue_->push_many(elements, count);
    }
    std::size_t claim(std::size_t count, Spans<E> &spans)
    {
        return queue_->claim(count, spans);
    }
    void commit(std::size_t count)
    {
        queue_->commit(count);
    }

  private:
    Queue *queue_;
};

template <class Queue, class E> class PlainConsumer
{
  public:
    explicit PlainConsumer(Queue &queue) : queue_(&queue)
    {
    }
    bool pop(E &element)
    {
        return queue_->pop(element);
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        return queue_->pop_many(elements, max_count);
    }
    std::size_t peek(std::size_t count, Spans<E> &spans)
    {
        return queue_->peek(count, spans);
    }
    void release(std::size_t count)
    {
        queue_->release(count);
    }

  private:
    Queue *queue_;
};

/** Batches for a queue that has only single calls. */
template <class End, class E> std::size_t push_each(End &end, const E *elements, std::size_t count)
{
    std::size_t i = 0;
    while (i < count && end.push(elements[i]))
        ++i;
    return i;
}

template <class End, class E> std::size_t pop_each(End &end, E *elements, std::size_t max_count)
{
    std::size_t i = 0;
    while (i < max_count && end.pop(elements[i]))
        ++i;
    return i;
}

/** The same queue, each call through a function that the compiler sees nothing of, as a call into a
 *  shared library is. */
template <class Queue> class Called : public Queue
{
  public:
    using Queue::Queue;
    using E = typename Queue::Value;

    class Producer
    {
      public:
        Producer(Queue &queue, unsigned index) : end_(queue, index)
        {
        }
        BENCH_OPAQUE bool push(const E &element)
        {
            return end_.push(element);
        }
        BENCH_OPAQUE std::size_t push_many(const E *elements, std::size_t count)
        {
            return end_.push_many(elements, count);
        }
        BENCH_OPAQUE std::size_t claim(std::size_t count, Spans<E> &spans)
        {
            return end_.claim(count, spans);
        }
        BENCH_OPAQUE void commit(std::size_t count)
        {
            end_.commit(count);
        }

      private:
        typename Queue::Producer end_;
    };

    class Consumer
    {
      public:
        explicit Consumer(Queue &queue) : end_(queue)
        {
        }
        BENCH_OPAQUE bool pop(E &element)
        {
            return end_.pop(element);
        }
        BENCH_OPAQUE std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return end_.pop_many(elements, max_count);
        }
        BENCH_OPAQUE std::size_t peek(std::size_t count, Spans<E> &spans)
        {
            return end_.peek(count, spans);
        }
        BENCH_OPAQUE void release(std::size_t count)
        {
            end_.release(count);
        }

      private:
        typename Queue::Consumer end_;
    };
};

} // namespace bench

#endif
