#ifndef BENCH_PEERS_URCU_WFCQUEUE_HPP
#define BENCH_PEERS_URCU_WFCQUEUE_HPP

#define _LGPL_SOURCE /* the inlined form */
#include <urcu/wfcqueue.h>

#include "harness/node_queue.hpp"

namespace bench
{

/** With kSplice the consumer takes all that is there and serves itself from that, and a list is
 *  linked in private and then spliced in. */
template <bool kSplice> class UrcuChain
{
  public:
    static constexpr const char *kName = kSplice ? "liburcu wfcqueue, splice" : "liburcu wfcqueue";
    using Link = cds_wfcq_node;

    explicit UrcuChain(const Shape &)
    {
        __cds_wfcq_init(&head_, &tail_);
        __cds_wfcq_init(&taken_head_, &taken_tail_);
    }

    class In
    {
      public:
        In(UrcuChain &chain, unsigned) : chain_(&chain)
        {
        }
        void push(Link *link)
        {
            cds_wfcq_node_init(link);
            cds_wfcq_enqueue(cds_wfcq_head_ptr_t{&chain_->head_}, &chain_->tail_, link);
        }
        void push_list(Link *const *links, std::size_t count)
        {
            if constexpr (!kSplice) {
                for (std::size_t i = 0; i < count; ++i)
                    push(links[i]);
                return;
            }
            __cds_wfcq_head head;
            cds_wfcq_tail tail;
            __cds_wfcq_init(&head, &tail);
            for (std::size_t i = 0; i < count; ++i) {
                cds_wfcq_node_init(links[i]);
                cds_wfcq_enqueue(cds_wfcq_head_ptr_t{&head}, &tail, links[i]);
            }
            __cds_wfcq_splice_blocking(cds_wfcq_head_ptr_t{&chain_->head_}, &chain_->tail_,
                                       cds_wfcq_head_ptr_t{&head}, &tail);
        }

      private:
        UrcuChain *chain_;
    };

    Link *next()
    {
        if constexpr (kSplice)
            return dequeue(taken_head_, taken_tail_);
        else
            return dequeue(head_, tail_);
    }
    void take()
    {
        if constexpr (kSplice)
            __cds_wfcq_splice_nonblocking(cds_wfcq_head_ptr_t{&taken_head_}, &taken_tail_,
                                          cds_wfcq_head_ptr_t{&head_}, &tail_);
    }

  private:
    static Link *dequeue(__cds_wfcq_head &head, cds_wfcq_tail &tail)
    {
        Link *link = __cds_wfcq_dequeue_nonblocking(cds_wfcq_head_ptr_t{&head}, &tail);
        return link == CDS_WFCQ_WOULDBLOCK ? nullptr : link;
    }

    alignas(128) __cds_wfcq_head head_;
    alignas(128) cds_wfcq_tail tail_;
    alignas(128) __cds_wfcq_head taken_head_;
    cds_wfcq_tail taken_tail_;
};

template <class E, bool kSplice> using UrcuWfcqueue = NodeQueue<UrcuChain<kSplice>, E>;

} // namespace bench

#endif
