#ifndef BENCH_HARNESS_INBOX_CHAIN_HPP
#define BENCH_HARNESS_INBOX_CHAIN_HPP

#include <cstddef>

#include <fletching/inbox.h>

#include "harness/ends.hpp"
#include "harness/ours.hpp"

namespace bench
{

/** The library's inbox as a chain of nodes (harness/node_queue.hpp). */
class InboxChain
{
  public:
    static constexpr const char *kName = "fletching";
    using Link = fletch_inbox_node;

    explicit InboxChain(const Shape &)
    {
        fletch_error error;
        must(fletch_inbox_init(memory_, sizeof memory_, &inbox_, &error), error);
    }
    ~InboxChain()
    {
        fletch_inbox_list left;
        fletch_inbox_close(inbox_, &left);
    }
    InboxChain(const InboxChain &) = delete;
    InboxChain &operator=(const InboxChain &) = delete;

    class In
    {
      public:
        In(InboxChain &chain, unsigned) : inbox_(chain.inbox_)
        {
        }
        void push(Link *link)
        {
            (void)!fletch_inbox_push(inbox_, link, nullptr);
        }
        void push_list(Link *const *links, std::size_t count)
        {
            for (std::size_t i = 0; i + 1 < count; ++i)
                links[i]->next = links[i + 1];
            links[count - 1]->next = nullptr;
            (void)!fletch_inbox_push_list(inbox_, links[0], nullptr);
        }

      private:
        fletch_inbox *inbox_;
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
        fletch_inbox_list list;
        taken_ = fletch_inbox_try_take(inbox_, &list) == FLETCH_DONE ? list.first : nullptr;
    }

  private:
    alignas(128) unsigned char memory_[128];
    fletch_inbox *inbox_ = nullptr;
    Link *taken_ = nullptr;
};

} // namespace bench

#endif
