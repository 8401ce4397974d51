#ifndef BENCH_PEERS_NODE_CHAINS_HPP
#define BENCH_PEERS_NODE_CHAINS_HPP

#include <array>

#include <pthread.h>

#include <concurrentqueue/concurrentqueue.h>
#include <xenium/michael_scott_queue.hpp>
#include <xenium/ramalhete_queue.hpp>
#include <xenium/reclamation/generic_epoch_based.hpp>

#include "harness/node_queue.hpp"

/** Unbounded queues as chains of nodes: those that hold pointers allocate what carries them. */

namespace bench
{

struct PointerLink {
    void *unused;
};

class XeniumMichaelScottChain
{
  public:
    static constexpr const char *kName = "xenium michael_scott_queue";
    using Link = PointerLink;
    using In = PlainIn<XeniumMichaelScottChain>;
    explicit XeniumMichaelScottChain(const Shape &)
    {
    }
    void push(Link *link)
    {
        queue_.push(link);
    }
    Link *next()
    {
        Link *link = next_;
        next_ = nullptr;
        return link;
    }
    void take()
    {
        if (!queue_.try_pop(next_))
            next_ = nullptr;
    }

  private:
    xenium::michael_scott_queue<Link *,
                                xenium::policy::reclaimer<xenium::reclamation::epoch_based<>>>
        queue_;
    Link *next_ = nullptr;
};

class XeniumRamalheteChain
{
  public:
    static constexpr const char *kName = "xenium ramalhete_queue";
    using Link = PointerLink;
    using In = PlainIn<XeniumRamalheteChain>;
    explicit XeniumRamalheteChain(const Shape &)
    {
    }
    void push(Link *link)
    {
        queue_.push(link);
    }
    Link *next()
    {
        Link *link = next_;
        next_ = nullptr;
        return link;
    }
    void take()
    {
        if (!queue_.try_pop(next_))
            next_ = nullptr;
    }

  private:
    xenium::ramalhete_queue<Link *, xenium::policy::reclaimer<xenium::reclamation::epoch_based<>>>
        queue_;
    Link *next_ = nullptr;
};

/** Producers and consumer with tokens, bulk calls on both sides. */
class MoodycamelChain
{
    using Queue = moodycamel::ConcurrentQueue<PointerLink *>;

  public:
    static constexpr const char *kName = "moodycamel ConcurrentQueue";
    using Link = PointerLink;
    explicit MoodycamelChain(const Shape &shape)
        : queue_(shape.capacity, shape.producers, 0), token_(queue_)
    {
    }

    class In
    {
      public:
        In(MoodycamelChain &chain, unsigned) : queue_(&chain.queue_), token_(chain.queue_)
        {
        }
        void push(Link *link)
        {
            queue_->enqueue(token_, link);
        }
        void push_list(Link *const *links, std::size_t count)
        {
            queue_->enqueue_bulk(token_, links, count);
        }

      private:
        Queue *queue_;
        moodycamel::ProducerToken token_;
    };

    Link *next()
    {
        return at_ < count_ ? taken_[at_++] : nullptr;
    }
    void take()
    {
        at_ = 0;
        count_ = queue_.try_dequeue_bulk(token_, taken_.data(), taken_.size());
    }

  private:
    Queue queue_;
    moodycamel::ConsumerToken token_;
    std::array<Link *, 256> taken_;
    std::size_t at_ = 0, count_ = 0;
};

/** A linked list under a mutex; the consumer takes all of it. */
class MutexChain
{
  public:
    static constexpr const char *kName = "mutex + linked list";
    struct Link {
        Link *next;
    };

    explicit MutexChain(const Shape &)
    {
    }
    ~MutexChain()
    {
        pthread_mutex_destroy(&mutex_);
    }
    MutexChain(const MutexChain &) = delete;
    MutexChain &operator=(const MutexChain &) = delete;

    class In
    {
      public:
        In(MutexChain &chain, unsigned) : chain_(&chain)
        {
        }
        void push(Link *link)
        {
            push_list(&link, 1);
        }
        void push_list(Link *const *links, std::size_t count)
        {
            for (std::size_t i = 0; i + 1 < count; ++i)
                links[i]->next = links[i + 1];
            links[count - 1]->next = nullptr;
            chain_->append(links[0], links[count - 1]);
        }

      private:
        MutexChain *chain_;
    };

    Link *next()
    {
        Link *link = taken_;
        if (link != nullptr)
            taken_ = link->next;
        return link;
    }
    void take()
    {
        pthread_mutex_lock(&mutex_);
        taken_ = first_;
        first_ = nullptr;
        last_ = &first_;
        pthread_mutex_unlock(&mutex_);
    }

  private:
    void append(Link *first, Link *last)
    {
        pthread_mutex_lock(&mutex_);
        *last_ = first;
        last_ = &last->next;
        pthread_mutex_unlock(&mutex_);
    }

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    Link *first_ = nullptr, **last_ = &first_, *taken_ = nullptr;
};

} // namespace bench

#endif
