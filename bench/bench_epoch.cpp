#include <thread>
#include <vector>

#include <fletching/epoch.h>

#include "harness/contest.hpp"
#include "harness/machine.hpp"
#include "harness/store_map.hpp"
#include "harness/store_runs.hpp"
#include "peers/called_sections.hpp"
#include "peers/ck_tables.hpp"
#include "peers/urcu_flavors.hpp"

/** Sections and retirements alone: nanoseconds each. Ours are calls into a shared library, and so
 *  are the peers'; beside those stand calls within the program, sections inlined, and the floor:
 *  calls into a shared library that do nothing. */

namespace bench
{
namespace
{

/** A class has a Thread with enter, exit and retire(object). */
class FletchEpoch
{
  public:
    static constexpr const char *kName = "fletching";
    FletchEpoch()
    {
        if (fletch_epoch_domain_create(nullptr, nullptr, &domain_, nullptr) != FLETCH_OK)
            throw std::bad_alloc();
    }
    ~FletchEpoch()
    {
        fletch_epoch_domain_destroy(domain_);
    }
    FletchEpoch(const FletchEpoch &) = delete;
    FletchEpoch &operator=(const FletchEpoch &) = delete;
    class Thread
    {
      public:
        explicit Thread(FletchEpoch &epoch)
        {
            if (fletch_epoch_reader_open(epoch.domain_, &reader_, nullptr) != FLETCH_OK)
                throw std::bad_alloc();
        }
        ~Thread()
        {
            fletch_epoch_reader_close(reader_);
        }
        Thread(const Thread &) = delete;
        Thread &operator=(const Thread &) = delete;
        void enter()
        {
            fletch_epoch_enter(reader_);
        }
        void exit()
        {
            fletch_epoch_exit(reader_);
        }
        void retire(StoreObject *object)
        {
            auto *link = reinterpret_cast<fletch_epoch_object *>(object);
            link->reclaim = [](fletch_epoch_object *dead) { free_object(dead); };
            fletch_epoch_retire(reader_, link, sizeof *object);
        }

      private:
        fletch_epoch_reader *reader_ = nullptr;
    };

  private:
    fletch_epoch_domain *domain_ = nullptr;
};

class CkEpoch
{
  public:
    static constexpr const char *kName = "ck_epoch";
    CkEpoch()
    {
        ck_epoch_init(&epoch_);
    }
    class Thread
    {
      public:
        explicit Thread(CkEpoch &epoch) : thread_(epoch.epoch_)
        {
        }
        ~Thread()
        {
            thread_.finish();
        }
        void enter()
        {
            thread_.enter();
        }
        void exit()
        {
            thread_.exit();
        }
        void retire(StoreObject *object)
        {
            thread_.retire(object);
        }
        void call_enter()
        {
            bench_ck_enter(thread_.record());
        }
        void call_exit()
        {
            bench_ck_exit(thread_.record());
        }

      private:
        CkEpochThread thread_;
    };

  private:
    ck_epoch_t epoch_;
};

template <class Flavor> class Urcu
{
  public:
    static constexpr const char *kName = Flavor::kName;
    class Thread
    {
      public:
        explicit Thread(Urcu &)
        {
            Flavor::register_thread();
        }
        ~Thread()
        {
            free_all();
            Flavor::unregister_thread();
        }
        Thread(const Thread &) = delete;
        Thread &operator=(const Thread &) = delete;
        void enter()
        {
            Flavor::enter();
        }
        void exit()
        {
            Flavor::exit();
        }
        void retire(StoreObject *object)
        {
            retired_.push_back(object);
            if (retired_.size() == 512)
                free_all();
        }
        void call_enter()
        {
            bench_memb_enter();
        }
        void call_exit()
        {
            bench_memb_exit();
        }

      private:
        void free_all()
        {
            Flavor::synchronize();
            for (StoreObject *object : retired_)
                free_object(object);
            retired_.clear();
        }
        std::vector<StoreObject *> retired_;
    };
};

/** The same as calls into a shared library, as ours are. */
template <class Epoch> class CalledEpoch : public Epoch
{
  public:
    class Thread : public Epoch::Thread
    {
      public:
        using Epoch::Thread::Thread;
        void enter()
        {
            Epoch::Thread::call_enter();
        }
        void exit()
        {
            Epoch::Thread::call_exit();
        }
    };
};

/** As calls within the program: no table of addresses is asked. */
template <class Epoch> class NearEpoch : public Epoch
{
  public:
    class Thread : public Epoch::Thread
    {
      public:
        using Epoch::Thread::Thread;
        __attribute__((noinline, noclone)) void enter()
        {
            Epoch::Thread::enter();
            asm volatile("");
        }
        __attribute__((noinline, noclone)) void exit()
        {
            Epoch::Thread::exit();
            asm volatile("");
        }
    };
};

/** Nothing protected: what two calls into a shared library cost. */
class NoEpoch
{
  public:
    static constexpr const char *kName = "floor: calls that do nothing";
    class Thread
    {
      public:
        explicit Thread(NoEpoch &)
        {
        }
        void enter()
        {
            bench_nothing_enter(this);
        }
        void exit()
        {
            bench_nothing_exit(this);
        }
    };
};

template <class Epoch, class Work>
Sample timed(std::uint64_t count, unsigned threads, const Work &work)
{
    Epoch epoch;
    Sample sample;
    std::vector<ThreadSpan> spans(threads);
    std::vector<std::thread> running;
    Gate gate(threads);
    for (unsigned index = 0; index < threads; ++index)
        running.emplace_back([&, index] {
            pin(static_cast<int>(index));
            typename Epoch::Thread thread(epoch);
            SpanMeter meter;
            gate.arrive_and_wait();
            meter.start(static_cast<int>(index));
            for (std::uint64_t i = 0; i < count; ++i)
                work(thread);
            spans[index] = meter.stop();
        });
    for (std::thread &thread : running)
        thread.join();
    settle(sample, spans, count);
    sample.right = true;
    return sample;
}

template <class Epoch> Sample run_sections(std::uint64_t count, unsigned threads)
{
    return timed<Epoch>(count, threads, [](auto &thread) {
        thread.enter();
        std::atomic_signal_fence(std::memory_order_seq_cst); /* something is read in between */
        thread.exit();
    });
}

template <class Epoch> Sample run_retirements(std::uint64_t count, unsigned threads)
{
    return timed<Epoch>(count, threads, [](auto &thread) {
        StoreObject *object = make_object(store_key(1));
        thread.enter();
        std::atomic_signal_fence(std::memory_order_seq_cst);
        thread.exit();
        thread.retire(object);
    });
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases;
    for (const unsigned threads : {1u, 2u}) {
        const std::string beside = threads == 1 ? "one thread" : "two threads";
        const auto sections = [threads](auto *epoch, Role role, const std::string &how) {
            using Epoch = std::remove_pointer_t<decltype(epoch)>;
            return Contestant{Epoch::kName + how, role, [threads](std::uint64_t count) {
                                  return run_sections<Epoch>(count, threads);
                              }};
        };
        const auto retirements = [threads](auto *epoch, Role role) {
            using Epoch = std::remove_pointer_t<decltype(epoch)>;
            return Contestant{Epoch::kName, role, [threads](std::uint64_t count) {
                                  return run_retirements<Epoch>(count, threads);
                              }};
        };
        FletchEpoch *ours = nullptr;
        CkEpoch *ck = nullptr;
        Urcu<UrcuMemb> *memb = nullptr;
        Urcu<UrcuQsbr> *qsbr = nullptr;
        CalledEpoch<CkEpoch> *called_ck = nullptr;
        CalledEpoch<Urcu<UrcuMemb>> *called_memb = nullptr;
        NearEpoch<CkEpoch> *near_ck = nullptr;
        NearEpoch<Urcu<UrcuMemb>> *near_memb = nullptr;
        NoEpoch *nothing = nullptr;
        cases.push_back(
            {"section, " + beside,
             {metric(kNs, "ns", 1.0)},
             {sections(ours, Role::kOurs, ""), sections(called_ck, Role::kPeer, ""),
              sections(called_memb, Role::kPeer, ""), sections(nothing, Role::kReference, ""),
              sections(near_ck, Role::kReference, " (called in the program)"),
              sections(near_memb, Role::kReference, " (called in the program)"),
              sections(ck, Role::kReference, " (inlined)"),
              sections(memb, Role::kReference, " (inlined)"),
              sections(qsbr, Role::kReference, " (inlined)")}});
        cases.push_back({"object made, section, object retired, " + beside,
                         {metric(kNs, "ns", kNone)},
                         {retirements(ours, Role::kOurs), retirements(ck, Role::kPeer),
                          retirements(memb, Role::kPeer), retirements(qsbr, Role::kReference)}});
    }
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_epoch", BENCH_PEER_VERSIONS, bench::make_cases);
}
