#ifndef BENCH_HARNESS_STORE_OURS_HPP
#define BENCH_HARNESS_STORE_OURS_HPP

#include <cstring>
#include <new>

#include <fletching/fletching.h>

#include "harness/store_map.hpp"

namespace bench
{

static_assert(sizeof(fletch_store_key) == sizeof(StoreKey), "the same three numbers");

class FletchStore
{
  public:
    static constexpr const char *kName = "fletching";
    static constexpr std::size_t kPayloadBytes = 32;
    static constexpr std::size_t kManyMost = 64;

    explicit FletchStore(std::size_t entries)
    {
        fletch_partition_store_options options = {};
        options.struct_size = sizeof options;
        options.expected_entries = entries;
        if (fletch_epoch_domain_create(nullptr, nullptr, &domain_, nullptr) != FLETCH_OK ||
            fletch_partition_store_create(domain_, &options, nullptr, &store_, nullptr) !=
                FLETCH_OK)
            throw std::bad_alloc();
    }
    ~FletchStore()
    {
        fletch_partition_store_destroy(store_);
        fletch_epoch_domain_destroy(domain_);
    }
    FletchStore(const FletchStore &) = delete;
    FletchStore &operator=(const FletchStore &) = delete;

    /** Bytes of table and header for each entry. */
    double bytes_per_entry()
    {
        fletch_store_statistics statistics = {};
        statistics.struct_size = sizeof statistics;
        Thread thread(*this);
        if (fletch_partition_store_statistics(store_, thread.reader_, &statistics, nullptr) !=
            FLETCH_OK)
            return 0;
        return static_cast<double>(statistics.table_bytes) /
                   static_cast<double>(statistics.entries) +
               32;
    }

    class Thread
    {
      public:
        explicit Thread(FletchStore &map) : store_(map.store_)
        {
            if (fletch_epoch_reader_open(map.domain_, &reader_, nullptr) != FLETCH_OK)
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
        const std::uint64_t *find(const StoreKey &key)
        {
            return word_of(fletch_partition_store_view(store_, reader_, key_of(key)));
        }
        const std::uint64_t *acquire(const StoreKey &key)
        {
            return word_of(fletch_partition_store_get(store_, reader_, key_of(key)));
        }
        void release(const std::uint64_t *word)
        {
            char *at = reinterpret_cast<char *>(const_cast<std::uint64_t *>(word));
            fletch_store_value_release(store_, reader_,
                                       reinterpret_cast<fletch_store_value *>(at - 32));
        }
        std::size_t find_many(const StoreKey *keys, std::size_t count, const std::uint64_t **words)
        {
            fletch_store_value *values[kManyMost];
            const std::size_t found =
                fletch_partition_store_view_many(store_, reader_, key_of(*keys), count, values);
            for (std::size_t i = 0; i < count; ++i)
                words[i] = word_of(values[i]);
            return found;
        }
        std::size_t acquire_many(const StoreKey *keys, std::size_t count,
                                 const std::uint64_t **words)
        {
            fletch_store_value *values[kManyMost];
            const std::size_t found =
                fletch_partition_store_get_many(store_, reader_, key_of(*keys), count, values);
            for (std::size_t i = 0; i < count; ++i)
                words[i] = word_of(values[i]);
            return found;
        }
        void release_many(const std::uint64_t **words, std::size_t count)
        {
            for (std::size_t i = 0; i < count; ++i)
                release(words[i]);
        }
        bool insert(const StoreKey &key)
        {
            return fletch_partition_store_insert(store_, reader_, key_of(key), make(key),
                                                 nullptr) == FLETCH_OK;
        }
        bool replace(const StoreKey &key)
        {
            return fletch_partition_store_replace(store_, reader_, key_of(key), make(key),
                                                  nullptr) == FLETCH_OK;
        }
        bool remove(const StoreKey &key)
        {
            return fletch_partition_store_remove(store_, reader_, key_of(key), nullptr) ==
                   FLETCH_OK;
        }

      private:
        friend class FletchStore;
        static const fletch_store_key *key_of(const StoreKey &key)
        {
            return reinterpret_cast<const fletch_store_key *>(&key);
        }
        /* The payload begins right behind the header of 32 bytes: the library's is opaque, and a
         * call to ask for it is what a caller pays who does not keep the address. */
        static const std::uint64_t *word_of(const fletch_store_value *value)
        {
            return value == nullptr ? nullptr
                                    : reinterpret_cast<const std::uint64_t *>(
                                          reinterpret_cast<const char *>(value) + 32);
        }
        fletch_store_value *make(const StoreKey &key)
        {
            fletch_store_value *value = nullptr;
            if (fletch_partition_store_value_create(store_, reader_, kPayloadBytes, &value,
                                                    nullptr) != FLETCH_OK)
                throw std::bad_alloc();
            const std::uint64_t word = key.partition;
            std::memcpy(fletch_store_value_payload(value), &word, sizeof word);
            return value;
        }
        fletch_partition_store *store_;
        fletch_epoch_reader *reader_ = nullptr;
    };

  private:
    fletch_epoch_domain *domain_ = nullptr;
    fletch_partition_store *store_ = nullptr;
};

} // namespace bench

#endif
