#ifndef BENCH_HARNESS_TABLE_HPP
#define BENCH_HARNESS_TABLE_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/contest.hpp"
#include "harness/ends.hpp"
#include "harness/machine.hpp"

namespace bench
{

/** The contestants of one kind of test: `test.run<Queue>(items)` makes a sample. */
template <class Test> class Table
{
  public:
    explicit Table(const Test &test) : test_(test)
    {
    }

    template <class Queue> Table &ours(const char *name = Queue::kName, Role role = Role::kOurs)
    {
        return add<Queue>(name, role);
    }
    template <class Queue> Table &peer()
    {
        return add<Called<Queue>>(Queue::kName, Role::kPeer);
    }
    template <class Queue> Table &inlined()
    {
        return add<Queue>(std::string(Queue::kName) + " (inlined)", Role::kReference);
    }
    template <class Queue> Table &before()
    {
        return awake<Called<Queue>>(Queue::kName, Role::kBefore);
    }
    /** One that may sleep: both cores are kept from halting. */
    template <class Queue> Table &awake(const char *name, Role role)
    {
        const Test test = test_;
        table_.push_back({name, role, [test](std::uint64_t items) {
                              const AwakeCores awake;
                              return test.template run<Queue>(items);
                          }});
        return *this;
    }
    std::vector<Contestant> take()
    {
        return std::move(table_);
    }

  private:
    template <class Queue> Table &add(const std::string &name, Role role)
    {
        const Test test = test_;
        table_.push_back(
            {name, role, [test](std::uint64_t items) { return test.template run<Queue>(items); }});
        return *this;
    }
    Test test_;
    std::vector<Contestant> table_;
};

} // namespace bench

#endif
