#ifndef BENCH_PEERS_DPDK_RING_HPP
#define BENCH_PEERS_DPDK_RING_HPP

#include <cstdlib>
#include <cstring>
#include <new>

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

#include "harness/ends.hpp"

namespace bench
{

enum class DpdkMode { kSingle, kMany, kManyHeadTailSync, kManyRelaxedTailSync };

/** Elements of any size need nothing of the environment layer. Holds one less than its size. */
template <class E, DpdkMode kMode> class DpdkRing
{
  public:
    static constexpr const char *kName = kMode == DpdkMode::kSingle ? "DPDK ring SP/SC"
                                         : kMode == DpdkMode::kMany ? "DPDK ring MP/SC"
                                         : kMode == DpdkMode::kManyHeadTailSync
                                             ? "DPDK ring HTS/SC"
                                             : "DPDK ring RTS/SC";
    using Value = E;
    using Producer = PlainProducer<DpdkRing, E>;
    using Consumer = PlainConsumer<DpdkRing, E>;

    explicit DpdkRing(const Shape &shape)
    {
        const unsigned count = static_cast<unsigned>(shape.capacity);
        const ssize_t bytes = rte_ring_get_memsize_elem(sizeof(E), count);
        ring_ = static_cast<rte_ring *>(
            std::aligned_alloc(128, (static_cast<std::size_t>(bytes) + 127) / 128 * 128));
        if (ring_ == nullptr)
            throw std::bad_alloc();
        std::memset(static_cast<void *>(ring_), 0, static_cast<std::size_t>(bytes));
        if (rte_ring_init(ring_, "bench", count, kFlags) != 0)
            throw std::bad_alloc();
    }
    ~DpdkRing()
    {
        std::free(ring_);
    }
    DpdkRing(const DpdkRing &) = delete;
    DpdkRing &operator=(const DpdkRing &) = delete;

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
        const unsigned n = static_cast<unsigned>(count);
        if constexpr (kMode == DpdkMode::kSingle)
            return rte_ring_sp_enqueue_burst_elem(ring_, elements, sizeof(E), n, nullptr);
        else if constexpr (kMode == DpdkMode::kMany)
            return rte_ring_mp_enqueue_burst_elem(ring_, elements, sizeof(E), n, nullptr);
        else if constexpr (kMode == DpdkMode::kManyHeadTailSync)
            return rte_ring_mp_hts_enqueue_burst_elem(ring_, elements, sizeof(E), n, nullptr);
        else
            return rte_ring_mp_rts_enqueue_burst_elem(ring_, elements, sizeof(E), n, nullptr);
    }
    std::size_t pop_many(E *elements, std::size_t max_count)
    {
        return rte_ring_sc_dequeue_burst_elem(ring_, elements, sizeof(E),
                                              static_cast<unsigned>(max_count), nullptr);
    }

  protected:
    static constexpr unsigned kFlags =
        RING_F_SC_DEQ | (kMode == DpdkMode::kSingle                ? RING_F_SP_ENQ
                         : kMode == DpdkMode::kManyHeadTailSync    ? RING_F_MP_HTS_ENQ
                         : kMode == DpdkMode::kManyRelaxedTailSync ? RING_F_MP_RTS_ENQ
                                                                   : 0);
    rte_ring *ring_ = nullptr;
};

/** Batches filled and read where they lie. */
template <class E> class DpdkRingInPlace : public DpdkRing<E, DpdkMode::kSingle>
{
    using Base = DpdkRing<E, DpdkMode::kSingle>;

  public:
    static constexpr const char *kName = "DPDK ring SP/SC in place";
    static constexpr bool kInPlace = true;
    using Producer = PlainProducer<DpdkRingInPlace, E>;
    using Consumer = PlainConsumer<DpdkRingInPlace, E>;
    using Base::Base;

    std::size_t claim(std::size_t count, Spans<E> &spans)
    {
        rte_ring_zc_data data = {};
        return fill(spans, data,
                    rte_ring_enqueue_zc_burst_elem_start(
                        this->ring_, sizeof(E), static_cast<unsigned>(count), &data, nullptr));
    }
    void commit(std::size_t count)
    {
        rte_ring_enqueue_zc_elem_finish(this->ring_, static_cast<unsigned>(count));
    }
    std::size_t peek(std::size_t count, Spans<E> &spans)
    {
        rte_ring_zc_data data = {};
        return fill(spans, data,
                    rte_ring_dequeue_zc_burst_elem_start(
                        this->ring_, sizeof(E), static_cast<unsigned>(count), &data, nullptr));
    }
    void release(std::size_t count)
    {
        rte_ring_dequeue_zc_elem_finish(this->ring_, static_cast<unsigned>(count));
    }

  private:
    static std::size_t fill(Spans<E> &spans, const rte_ring_zc_data &data, unsigned count)
    {
        const std::size_t first = data.n1 < count ? data.n1 : count;
        spans = {static_cast<E *>(data.ptr1), first, static_cast<E *>(data.ptr2), count - first};
        return count;
    }
};

} // namespace bench

#endif
