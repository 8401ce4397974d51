#ifndef BENCH_PEERS_CONCURRENT_MAPS_HPP
#define BENCH_PEERS_CONCURRENT_MAPS_HPP

#include <libcuckoo/cuckoohash_map.hh>
#include <oneapi/tbb/concurrent_hash_map.h>

#include "harness/store_map.hpp"

/** C++ maps that lock a bucket for each look-up, so what a section protects is what the last
 *  look-up holds. */

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
    };

  private:
    Map map_;
};

} // namespace bench

#endif
