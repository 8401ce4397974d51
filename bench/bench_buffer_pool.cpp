#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fletching/buffer.h>

#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/ours.hpp"
#include "harness/stream.hpp"
#include "harness/table.hpp"
#include "peers/allocators.hpp"

/** Buffers of 64 KiB and 1 MiB: taken, one byte of each page written, given back; by the thread
 *  that took them or by another, which reads the number in them. So many are in flight at a time,
 *  given back in the order in which they were taken. */

namespace bench
{
namespace
{

constexpr std::size_t kPageBytes = 4096;

template <bool kCharged, fletch_huge_pages kPages> class FletchBuffers
{
  public:
    static constexpr const char *kName = kPages == FLETCH_HUGE_PAGES_OFF ? "fletching, small pages"
                                         : kCharged ? "fletching, charged to an account"
                                                    : "fletching";
    using Item = fletch_buffer *;

    FletchBuffers()
    {
        fletch_error error;
        fletch_buffer_pool_options pool = {};
        pool.struct_size = sizeof pool;
        pool.huge_pages = kPages;
        must(fletch_buffer_pool_create(&pool, nullptr, &pool_, &error), error);
        fletch_account_options account = {};
        account.struct_size = sizeof account;
        must(fletch_budget_create(&account, nullptr, &budget_, &error), error);
        account.step_bytes = std::size_t{8} << 20;
        must(fletch_account_open(fletch_budget_account(budget_), &account, &account_, &error),
             error);
    }
    ~FletchBuffers()
    {
        fletch_error error;
        fletch_account_close(account_);
        must(fletch_budget_destroy(budget_, &error), error);
        must(fletch_buffer_pool_destroy(pool_, &error), error);
    }
    FletchBuffers(const FletchBuffers &) = delete;
    FletchBuffers &operator=(const FletchBuffers &) = delete;

    class Side
    {
      public:
        explicit Side(FletchBuffers &buffers)
            : account_(kCharged ? buffers.account_ : nullptr), cache_(nullptr)
        {
            fletch_error error;
            must(fletch_buffer_cache_open(buffers.pool_, &cache_, &error), error);
        }
        ~Side()
        {
            fletch_buffer_cache_close(cache_);
        }
        Side(const Side &) = delete;
        Side &operator=(const Side &) = delete;

        Item take(std::size_t bytes)
        {
            Item buffer = nullptr;
            return fletch_buffer_allocate(cache_, bytes, account_, &buffer, nullptr) == FLETCH_OK
                       ? buffer
                       : nullptr;
        }
        void give(Item buffer)
        {
            fletch_buffer_release(cache_, buffer);
        }
        static unsigned char *data(Item buffer)
        {
            return fletch_buffer_mutable_data(buffer);
        }

      private:
        fletch_account *account_;
        fletch_buffer_cache *cache_;
    };

  private:
    fletch_buffer_pool *pool_ = nullptr;
    fletch_budget *budget_ = nullptr;
    fletch_account *account_ = nullptr;
};

struct Work {
    std::size_t bytes;
    std::size_t in_flight; /* a power of two */
};

template <class Source>
typename Source::Item take_written(typename Source::Side &side, std::size_t bytes,
                                   std::uint64_t number)
{
    const typename Source::Item item = side.take(bytes);
    unsigned char *data = Source::Side::data(item);
    for (std::size_t at = kPageBytes; at < bytes; at += kPageBytes)
        data[at] = static_cast<unsigned char>(number);
    std::memcpy(data, &number, sizeof number);
    return item;
}

template <class Source> bool has_number(typename Source::Item item, std::uint64_t number)
{
    std::uint64_t found;
    std::memcpy(&found, Source::Side::data(item), sizeof found);
    return found == number;
}

/** Pointers on their way to the other thread, the same for all contestants: a slot is a line of its
 *  own, full or NULL, so that a hand-over costs one line and what comes with it is left to see. */
class HandOver
{
  public:
    /** `capacity`: a power of two. */
    explicit HandOver(std::size_t capacity) : mask_(capacity - 1), slots_(capacity)
    {
    }
    bool push(void *pointer)
    {
        std::atomic<void *> &slot = slots_[tail_ & mask_].pointer;
        if (slot.load(std::memory_order_acquire) != nullptr)
            return false;
        slot.store(pointer, std::memory_order_release);
        ++tail_;
        return true;
    }
    void *look()
    {
        return slots_[head_ & mask_].pointer.load(std::memory_order_acquire);
    }
    /** After the item has been given back, so that no more are in flight than there are slots. */
    void pop()
    {
        slots_[head_++ & mask_].pointer.store(nullptr, std::memory_order_release);
    }

  private:
    struct alignas(128) Slot {
        std::atomic<void *> pointer{nullptr};
    };
    const std::size_t mask_;
    std::vector<Slot> slots_;
    alignas(128) std::uint64_t tail_ = 0;
    alignas(128) std::uint64_t head_ = 0;
};

struct SameThread {
    Work work;

    template <class Source> bool lap(typename Source::Side &side, std::uint64_t items) const
    {
        std::vector<typename Source::Item> slots(work.in_flight);
        bool right = true;
        for (std::uint64_t i = 0; i < items; ++i) {
            typename Source::Item &slot = slots[i & (work.in_flight - 1)];
            if (i >= work.in_flight) {
                right = has_number<Source>(slot, i - work.in_flight) && right;
                side.give(slot);
            }
            slot = take_written<Source>(side, work.bytes, i);
        }
        const std::uint64_t left = items < work.in_flight ? items : work.in_flight;
        for (std::uint64_t i = items - left; i < items; ++i)
            side.give(slots[i & (work.in_flight - 1)]);
        return right;
    }

    template <class Source> Sample run(std::uint64_t items) const
    {
        Sample sample;
        std::thread([&] {
            Source source;
            typename Source::Side side(source);
            SpanMeter meter;
            pin(0);
            lap<Source>(side, 2 * work.in_flight + 16);
            meter.start(0);
            sample.right = lap<Source>(side, items);
            const ThreadSpan span = meter.stop();
            sample.seconds = static_cast<double>(span.end_ns - span.start_ns) * 1e-9;
            sample.values[0] = static_cast<double>(items) / sample.seconds;
            account(sample, {span});
        }).join();
        return sample;
    }
};

struct OtherThread {
    Work work;

    template <class Source>
    void take_all(typename Source::Side &side, HandOver &hand_over, std::uint64_t items) const
    {
        for (std::uint64_t i = 0; i < items; ++i) {
            const typename Source::Item item = take_written<Source>(side, work.bytes, i);
            while (!hand_over.push(item))
                pause();
        }
    }

    template <class Source>
    bool give_all(typename Source::Side &side, HandOver &hand_over, std::uint64_t items) const
    {
        bool right = true;
        for (std::uint64_t i = 0; i < items; ++i) {
            void *pointer = hand_over.look();
            for (; pointer == nullptr; pointer = hand_over.look())
                pause();
            const auto item = static_cast<typename Source::Item>(pointer);
            right = has_number<Source>(item, i) && right;
            side.give(item);
            hand_over.pop();
        }
        return right;
    }

    template <class Source> Sample run(std::uint64_t items) const
    {
        const std::uint64_t warm = 2 * work.in_flight + 16;
        Source source;
        HandOver hand_over(work.in_flight);
        Gate warmed(2), timed(2);
        std::vector<ThreadSpan> spans(2);
        Sample sample;
        std::thread taker([&] {
            pin(0);
            typename Source::Side side(source);
            SpanMeter meter;
            take_all<Source>(side, hand_over, warm);
            warmed.arrive_and_wait();
            meter.start(0);
            take_all<Source>(side, hand_over, items);
            spans[0] = meter.stop();
            timed.arrive_and_wait();
        });
        std::thread giver([&] {
            pin(1);
            typename Source::Side side(source);
            SpanMeter meter;
            bool right = give_all<Source>(side, hand_over, warm);
            warmed.arrive_and_wait();
            meter.start(1);
            right = give_all<Source>(side, hand_over, items) && right;
            spans[1] = meter.stop();
            sample.right = right;
            timed.arrive_and_wait();
        });
        taker.join();
        giver.join();
        sample.seconds = static_cast<double>(spans[1].end_ns - spans[1].start_ns) * 1e-9;
        sample.values[0] = static_cast<double>(items) / sample.seconds;
        account(sample, spans);
        return sample;
    }
};

template <class Test> std::vector<Contestant> contestants(const Test &test)
{
    Table<Test> table(test);
    table.template ours<FletchBuffers<false, FLETCH_HUGE_PAGES_AUTO>>()
        .template ours<Mimalloc>(Mimalloc::kName, Role::kPeer)
        .template ours<Jemalloc>(Jemalloc::kName, Role::kPeer)
        .template ours<TunedJemalloc>(TunedJemalloc::kName, Role::kPeer)
        .template ours<FletchBuffers<true, FLETCH_HUGE_PAGES_AUTO>>(
            FletchBuffers<true, FLETCH_HUGE_PAGES_AUTO>::kName, Role::kReference)
        .template ours<FletchBuffers<false, FLETCH_HUGE_PAGES_OFF>>(
            FletchBuffers<false, FLETCH_HUGE_PAGES_OFF>::kName, Role::kReference)
        .template ours<GlibcMalloc>(GlibcMalloc::kName, Role::kBefore);
    return table.take();
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const std::size_t bytes : {std::size_t{64} << 10, std::size_t{1} << 20}) {
        for (const std::size_t in_flight : {std::size_t{1}, std::size_t{16}, std::size_t{256}}) {
            const std::string size = bytes == std::size_t{1} << 20 ? "1 MiB" : "64 KiB";
            const std::string what =
                size + ", " + std::to_string(in_flight) + " in flight, freed by ";
            cases.push_back({what + "the same thread",
                             {items_goal(1.2)},
                             contestants(SameThread{{bytes, in_flight}})});
            cases.push_back({what + "another thread",
                             {items_goal(1.2)},
                             contestants(OtherThread{{bytes, in_flight}})});
        }
    }
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_buffer_pool", BENCH_PEER_VERSIONS,
                              bench::make_cases);
}
