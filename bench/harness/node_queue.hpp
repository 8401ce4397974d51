#ifndef BENCH_HARNESS_NODE_QUEUE_HPP
#define BENCH_HARNESS_NODE_QUEUE_HPP

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "harness/ends.hpp"

namespace bench
{

/** A bounded queue made of an unbounded one. `Chain` links nodes that others own:
 *
 *      struct Link;                         what a node begins with
 *      class In { In(Chain &, unsigned index); void push(Link *);
 *                 void push_list(Link *const *, size_t count); };
 *      explicit Chain(const Shape &);
 *      Link *next();                        consumer: the oldest of what it took, or nullptr
 *      void take();                         consumer: takes what is there, once next() has no more
 *
 *  Each producer has its share of the capacity as a pool of nodes, which come back in order as the
 *  consumer takes what was sent. */
template <class Chain, class E> class NodeQueue
{
  public:
    static constexpr const char *kName = Chain::kName;
    using Value = E;
    using Link = typename Chain::Link;

    explicit NodeQueue(const Shape &shape)
        : pools_(new Pool[shape.producers]), chain_(shape), pool_count_(shape.producers),
          pool_nodes_(shape.capacity / shape.producers)
    {
        while ((pool_nodes_ & (pool_nodes_ - 1)) != 0)
            pool_nodes_ &= pool_nodes_ - 1; /* a power of two */
        for (unsigned i = 0; i < pool_count_; ++i) {
            pools_[i].nodes.reset(new Node[pool_nodes_]);
            for (std::size_t n = 0; n < pool_nodes_; ++n)
                pools_[i].nodes[n].pool = &pools_[i];
        }
    }

    class Producer
    {
      public:
        Producer(NodeQueue &queue, unsigned index)
            : in_(queue.chain_, index), pool_(&queue.pools_[index]), mask_(queue.pool_nodes_ - 1)
        {
        }
        bool push(const E &element)
        {
            if (room() == 0)
                return false;
            in_.push(fill(element));
            return true;
        }
        std::size_t push_many(const E *elements, std::size_t count)
        {
            std::array<Link *, kListMax> list;
            count = count < kListMax ? count : kListMax;
            if (room() < count)
                return 0;
            for (std::size_t i = 0; i < count; ++i)
                list[i] = fill(elements[i]);
            in_.push_list(list.data(), count);
            return count;
        }

      private:
        static constexpr std::size_t kListMax = 64;
        std::uint64_t room()
        {
            if (pushed_ - freed_seen_ + kListMax > mask_)
                freed_seen_ = pool_->freed.load(std::memory_order_acquire);
            return mask_ + 1 - (pushed_ - freed_seen_);
        }
        Link *fill(const E &element)
        {
            Node &node = pool_->nodes[pushed_++ & mask_];
            node.element = element;
            return &node.link;
        }
        typename Chain::In in_;
        typename NodeQueue::Pool *pool_;
        std::uint64_t pushed_ = 0, freed_seen_ = 0, mask_;
    };

    class Consumer
    {
      public:
        explicit Consumer(NodeQueue &queue) : queue_(&queue)
        {
        }
        bool pop(E &element)
        {
            Link *link = queue_->chain_.next();
            if (link == nullptr) {
                queue_->chain_.take();
                link = queue_->chain_.next();
            }
            if (link == nullptr) {
                queue_->publish_all();
                return false;
            }
            Node *node = reinterpret_cast<Node *>(link); /* its first member */
            element = node->element;
            queue_->give_back(*node->pool);
            return true;
        }
        std::size_t pop_many(E *elements, std::size_t max_count)
        {
            return pop_each(*this, elements, max_count);
        }

      private:
        NodeQueue *queue_;
    };

  private:
    struct Pool;
    struct Node {
        Link link;
        Pool *pool;
        E element;
    };
    struct Pool {
        std::unique_ptr<Node[]> nodes;
        alignas(128) std::atomic<std::uint64_t> freed{0};
        alignas(128) std::uint64_t freed_unpublished = 0; /* the consumer's */
    };

    void give_back(Pool &pool)
    {
        if (++pool.freed_unpublished > pool_nodes_ / 8)
            publish(pool);
    }
    static void publish(Pool &pool)
    {
        pool.freed.store(pool.freed.load(std::memory_order_relaxed) + pool.freed_unpublished,
                         std::memory_order_release);
        pool.freed_unpublished = 0;
    }
    void publish_all()
    {
        for (unsigned i = 0; i < pool_count_; ++i) {
            if (pools_[i].freed_unpublished != 0)
                publish(pools_[i]);
        }
    }

    std::unique_ptr<Pool[]> pools_; /* before the chain, which may end with nodes in it */
    Chain chain_;
    unsigned pool_count_;
    std::size_t pool_nodes_;
};

/** The same chain, its calls opaque as those into a shared library are. Walking what was taken is
 *  not a call, neither for a peer nor for us. */
template <class Chain> class OpaqueChain : public Chain
{
  public:
    using Chain::Chain;
    using Link = typename Chain::Link;

    class In
    {
      public:
        In(Chain &chain, unsigned index) : in_(chain, index)
        {
        }
        BENCH_OPAQUE void push(Link *link)
        {
            in_.push(link);
        }
        BENCH_OPAQUE void push_list(Link *const *links, std::size_t count)
        {
            in_.push_list(links, count);
        }

      private:
        typename Chain::In in_;
    };
    BENCH_OPAQUE void take()
    {
        Chain::take();
    }
};

/** For chains that do not tell their producers apart and push one by one. */
template <class Chain> class PlainIn
{
  public:
    PlainIn(Chain &chain, unsigned) : chain_(&chain)
    {
    }
    template <class Link> void push(Link *link)
    {
        chain_->push(link);
    }
    template <class Link> void push_list(Link *const *links, std::size_t count)
    {
        for (std::size_t i = 0; i < count; ++i)
            chain_->push(links[i]);
    }

  protected:
    Chain *chain_;
};

} // namespace bench

#endif
