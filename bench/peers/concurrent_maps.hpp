#ifndef BENCH_PEERS_CONCURRENT_MAPS_HPP
#define BENCH_PEERS_CONCURRENT_MAPS_HPP

#include <optional>

#include <libcuckoo/cuckoohash_map.hh>
#include <oneapi/tbb/concurrent_hash_map.h>
#include <xenium/reclamation/generic_epoch_based.hpp>
#include <xenium/vyukov_hash_map.hpp>

#include "harness/store_map.hpp"

/** C++ maps. Two of them lock a bucket for each look-up, so what a section protects is what the
 *  last look-up holds; xenium's readers are lock-free, inside a region of its epochs. */

namespace bench
{

struct StoreKeyHash {
    static std::size_t hash(const StoreKey &key)
    {
        return hash_of(key);
    }
    static bool equal(const StoreKey &a, const StoreKey &b)
    {
        return a == b;
    }
    std::size_t operator()(const StoreKey &key) const
    {
        return hash_of(key);
    }
};

class TbbHashMap
{
    using Map = oneapi::tbb::concurrent_hash_map<StoreKey, StoreObject *, StoreKeyHash>;

  public:
    static constexpr const char *kName = "oneTBB concurrent_hash_map";
    explicit TbbHashMap(std::size_t entries) : map_(entries)
    {
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(TbbHashMap &map) : map_(map.map_)
        {
        }
        void enter()
        {
        }
        void exit()
        {
            held_.release();
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            return map_.find(held_, key) ? &held_->second->word : nullptr;
        }
        bool insert(const StoreKey &key)
        {
            return map_.insert({key, make_object(key)});
        }
        bool replace(const StoreKey &key)
        {
            Map::accessor place;
            if (!map_.find(place, key))
                return false;
            free_object(place->second);
            place->second = make_object(key);
            return true;
        }
        bool remove(const StoreKey &key)
        {
            Map::accessor place;
            if (!map_.find(place, key))
                return false;
            free_object(place->second);
            return map_.erase(place);
        }

      private:
        Map &map_;
        Map::const_accessor held_;
    };

  private:
    Map map_;
};

class LibcuckooMap
{
    using Map = libcuckoo::cuckoohash_map<StoreKey, StoreObject *, StoreKeyHash>;

  public:
    static constexpr const char *kName = "libcuckoo cuckoohash_map";
    explicit LibcuckooMap(std::size_t entries) : map_(entries)
    {
    }

    class Thread
    {
      public:
        explicit Thread(LibcuckooMap &map) : map_(map.map_)
        {
        }
        void enter()
        {
        }
        void exit()
        {
        }
        /* The word is read while its bucket is locked. */
        const std::uint64_t *find(const StoreKey &key)
        {
            const bool found =
                map_.find_fn(key, [this](StoreObject *const &object) { word_ = object->word; });
            return found ? &word_ : nullptr;
        }
        const std::uint64_t *acquire(const StoreKey &key)
        {
            const std::uint64_t *word = nullptr;
            map_.find_fn(key, [this, &word](StoreObject *const &object) {
                object->references.fetch_add(1, std::memory_order_relaxed);
                word = &object->word;
                acquired_ = object;
            });
            return word;
        }
        void release(const std::uint64_t *)
        {
            acquired_->references.fetch_sub(1, std::memory_order_acq_rel);
        }
        std::size_t acquire_many(const StoreKey *keys, std::size_t count,
                                 const std::uint64_t **words)
        {
            std::size_t found = 0;
            for (std::size_t i = 0; i < count; ++i) {
                words[i] = acquire(keys[i]);
                many_[i] = acquired_;
                found += words[i] != nullptr;
            }
            return found;
        }
        void release_many(const std::uint64_t **, std::size_t count)
        {
            for (std::size_t i = 0; i < count; ++i)
                many_[i]->references.fetch_sub(1, std::memory_order_acq_rel);
        }
        std::size_t find_many(const StoreKey *keys, std::size_t count, const std::uint64_t **words)
        {
            std::size_t found = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint64_t *word = find(keys[i]);
                words_[i] = word == nullptr ? 0 : *word;
                words[i] = word == nullptr ? nullptr : &words_[i];
                found += word != nullptr;
            }
            return found;
        }
        bool insert(const StoreKey &key)
        {
            return map_.insert(key, make_object(key));
        }
        bool replace(const StoreKey &key)
        {
            return map_.update_fn(key, [&key](StoreObject *&object) {
                free_object(object);
                object = make_object(key);
            });
        }
        bool remove(const StoreKey &key)
        {
            return map_.erase_fn(key, [](StoreObject *&object) {
                free_object(object);
                return true;
            });
        }

      private:
        Map &map_;
        std::uint64_t word_ = 0;
        std::uint64_t words_[64];
        StoreObject *acquired_ = nullptr;
        StoreObject *many_[64] = {};
    };

  private:
    Map map_;
};

/** Keys of more than 8 bytes lie in nodes beside their values. There is no replacement in one step:
 *  the entry is gone for a moment. Writers lock a bucket. */
class XeniumHashMap
{
    struct Value {
        explicit Value(std::uint64_t number) : references(1), word(number)
        {
        }
        Value(const Value &other) : references(1), word(other.word)
        {
        }
        mutable std::atomic<std::uint64_t> references;
        std::uint64_t word;
    };
    struct Hash {
        std::size_t operator()(const StoreKey &key) const
        {
            return hash_of(key);
        }
    };
    using Reclaimer = xenium::reclamation::epoch_based<>;
    using Map = xenium::vyukov_hash_map<StoreKey, Value, xenium::policy::reclaimer<Reclaimer>,
                                        xenium::policy::hash<Hash>>;

  public:
    static constexpr const char *kName = "xenium vyukov_hash_map";
    explicit XeniumHashMap(std::size_t entries) : map_(entries)
    {
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(XeniumHashMap &map) : map_(map.map_)
        {
        }
        void enter()
        {
            region_.emplace();
        }
        void exit()
        {
            held_.reset();
            region_.reset();
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            return map_.try_get_value(key, held_) ? &held_->word : nullptr;
        }
        const std::uint64_t *acquire(const StoreKey &key)
        {
            enter();
            const std::uint64_t *word = find(key);
            if (word != nullptr)
                held_->references.fetch_add(1, std::memory_order_relaxed);
            exit();
            return word;
        }
        void release(const std::uint64_t *word)
        {
            value_of(word)->references.fetch_sub(1, std::memory_order_acq_rel);
        }
        std::size_t acquire_many(const StoreKey *keys, std::size_t count,
                                 const std::uint64_t **words)
        {
            std::size_t found = 0;
            enter();
            for (std::size_t i = 0; i < count; ++i) {
                words[i] = find(keys[i]);
                if (words[i] != nullptr)
                    value_of(words[i])->references.fetch_add(1, std::memory_order_relaxed);
                found += words[i] != nullptr;
            }
            exit();
            return found;
        }
        void release_many(const std::uint64_t **words, std::size_t count)
        {
            for (std::size_t i = 0; i < count; ++i)
                release(words[i]);
        }
        bool insert(const StoreKey &key)
        {
            return map_.emplace(key, Value(key.partition));
        }
        bool replace(const StoreKey &key)
        {
            return map_.erase(key) && insert(key);
        }
        bool remove(const StoreKey &key)
        {
            return map_.erase(key);
        }

      private:
        static const Value *value_of(const std::uint64_t *word)
        {
            return reinterpret_cast<const Value *>(reinterpret_cast<const char *>(word) -
                                                   offsetof(Value, word));
        }
        Map &map_;
        std::optional<Reclaimer::region_guard> region_;
        Map::accessor held_;
    };

  private:
    Map map_;
};

} // namespace bench

#endif
