#ifndef BENCH_PEERS_DPDK_HASH_HPP
#define BENCH_PEERS_DPDK_HASH_HPP

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_rcu_qsbr.h>

#include "harness/store_map.hpp"

namespace bench
{

/** Its environment: no huge pages, no devices, nothing shared. Once in a process. */
inline bool start_dpdk()
{
    static const bool started = [] {
        std::vector<std::string> words = {"bench",       "--no-huge",         "--no-pci",
                                          "--no-shconf", "--log-level=error", "-m",
                                          "4096",        "--lcores=0@0"};
        std::vector<char *> arguments;
        for (std::string &word : words)
            arguments.push_back(word.data());
        return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
    }();
    return started;
}

/** Cuckoo buckets with lock-free reads and an extendable table; one writer. Readers are protected
 *  by quiescent states, reported at the end of each section. */
class DpdkHash
{
  public:
    static constexpr const char *kName = "DPDK rte_hash + QSBR";

    static constexpr std::size_t kBatch = 512;

    explicit DpdkHash(std::size_t entries)
    {
        if (!start_dpdk())
            throw std::bad_alloc();
        static std::atomic<unsigned> number{0};
        const std::string name = "bench" + std::to_string(number++);
        rte_hash_parameters parameters = {};
        parameters.name = name.c_str();
        /* What is removed keeps its place until it is freed. */
        parameters.entries = static_cast<std::uint32_t>(entries + entries / 8 + 2 * kBatch);
        parameters.key_len = sizeof(StoreKey);
        parameters.hash_func = [](const void *key, std::uint32_t, std::uint32_t) {
            return static_cast<std::uint32_t>(hash_of(*static_cast<const StoreKey *>(key)) >> 32);
        };
        parameters.socket_id = -1;
        parameters.extra_flag =
            RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
        table_ = rte_hash_create(&parameters);
        const std::size_t bytes = rte_rcu_qsbr_get_memsize(kThreads);
        qsbr_ = static_cast<rte_rcu_qsbr *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
        if (table_ == nullptr || qsbr_ == nullptr || rte_rcu_qsbr_init(qsbr_, kThreads) != 0)
            throw std::bad_alloc();
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(DpdkHash &map) : table_(map.table_), qsbr_(map.qsbr_)
        {
            number_ = map.threads_.fetch_add(1) % kThreads;
            rte_rcu_qsbr_thread_register(qsbr_, number_);
            rte_rcu_qsbr_thread_online(qsbr_, number_);
        }
        ~Thread()
        {
            rte_rcu_qsbr_thread_offline(qsbr_, number_);
            rte_rcu_qsbr_thread_unregister(qsbr_, number_);
            free_removed();
        }
        Thread(const Thread &) = delete;
        Thread &operator=(const Thread &) = delete;
        void enter()
        {
        }
        void exit()
        {
            rte_rcu_qsbr_quiescent(qsbr_, number_);
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            void *object = nullptr;
            if (rte_hash_lookup_with_hash_data(table_, &key, signature(key), &object) < 0)
                return nullptr;
            return &static_cast<StoreObject *>(object)->word;
        }
        std::size_t find_many(const StoreKey *keys, std::size_t count, const std::uint64_t **words)
        {
            const void *wanted[RTE_HASH_LOOKUP_BULK_MAX];
            hash_sig_t signatures[RTE_HASH_LOOKUP_BULK_MAX];
            void *objects[RTE_HASH_LOOKUP_BULK_MAX];
            std::uint64_t hits = 0;
            for (std::size_t i = 0; i < count; ++i) {
                wanted[i] = &keys[i];
                signatures[i] = signature(keys[i]);
            }
            rte_hash_lookup_with_hash_bulk_data(table_, wanted, signatures,
                                                static_cast<std::uint32_t>(count), &hits, objects);
            std::size_t found = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const bool hit = (hits >> i & 1) != 0;
                words[i] = hit ? &static_cast<StoreObject *>(objects[i])->word : nullptr;
                found += hit;
            }
            return found;
        }
        bool insert(const StoreKey &key)
        {
            return rte_hash_add_key_with_hash_data(table_, &key, signature(key),
                                                   make_object(key)) == 0;
        }
        bool replace(const StoreKey &key)
        {
            void *old = nullptr;
            if (rte_hash_lookup_with_hash_data(table_, &key, signature(key), &old) < 0 ||
                !insert(key))
                return false;
            retire(old, kNoPosition);
            return true;
        }
        bool remove(const StoreKey &key)
        {
            void *old = nullptr;
            if (rte_hash_lookup_with_hash_data(table_, &key, signature(key), &old) < 0)
                return false;
            const std::int32_t position = rte_hash_del_key_with_hash(table_, &key, signature(key));
            retire(old, position);
            return position >= 0;
        }

      private:
        static constexpr std::int32_t kNoPosition = -1;
        struct Removed {
            void *object;
            std::int32_t position; /* of the key, to be given back too */
        };
        static hash_sig_t signature(const StoreKey &key)
        {
            return static_cast<hash_sig_t>(hash_of(key) >> 32);
        }
        void retire(void *object, std::int32_t position)
        {
            removed_.push_back({object, position});
            if (removed_.size() == kBatch)
                free_removed();
        }
        void free_removed()
        {
            const std::uint64_t token = rte_rcu_qsbr_start(qsbr_);
            rte_rcu_qsbr_quiescent(qsbr_, number_);
            rte_rcu_qsbr_check(qsbr_, token, true);
            for (const Removed &one : removed_) {
                if (one.position >= 0)
                    rte_hash_free_key_with_position(table_, one.position);
                free_object(one.object);
            }
            removed_.clear();
        }
        rte_hash *table_;
        rte_rcu_qsbr *qsbr_;
        unsigned number_;
        std::vector<Removed> removed_;
    };

  private:
    static constexpr unsigned kThreads = 64;
    rte_hash *table_;
    rte_rcu_qsbr *qsbr_;
    std::atomic<unsigned> threads_{0};
};

} // namespace bench

#endif
