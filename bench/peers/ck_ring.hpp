#ifndef BENCH_PEERS_CK_RING_HPP
#define BENCH_PEERS_CK_RING_HPP

#include <vector>

#pragma push_macro("false")
#define false 0 /* the headers are C and compare pointers with it */
#include <ck_ring.h>
#pragma pop_macro("false")

#include "harness/ends.hpp"

namespace bench
{

/** Holds one element less than its size. */
template <class E, bool kManyProducers> class CkRing
{
  public:
    static constexpr const char *kName = kManyProducers ? "ck_ring mpsc" : "ck_ring spsc";
    using Value = E;
    using Producer = PlainProducer<CkRing, E>;
    using Consumer = PlainConsumer<CkRing, E>;

    explicit CkRing(const Shape &shape) : slots_(shape.capacity)
    {
        ck_ring_init(&ring_, static_cast<unsigned>(shape.capacity));
    }
    bool push(const E &element)
    {
        if constexpr (kManyProducers)
            return _ck_ring_enqueue_mp(&ring_, slots_.data(), &element, sizeof(E), nullptr);
        else
            return _ck_ring_enqueue_sp(&ring_, slots_.data(), &element, sizeof(E), nullptr);
    }
    bool pop(E &element)
    {
        return _ck_ring_dequeue_sc(&ring_, slots_.data(), &element, sizeof(E));
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
    alignas(128) ck_ring_t ring_ = {};
    std::vector<E> slots_;
};

} // namespace bench

#endif
