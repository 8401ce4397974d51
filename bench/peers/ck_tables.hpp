#ifndef BENCH_PEERS_CK_TABLES_HPP
#define BENCH_PEERS_CK_TABLES_HPP

#include <cstdlib>
#include <memory>
#include <new>

#pragma push_macro("false")
#define false 0 /* the headers are C and compare pointers with it */
extern "C" {
#include <ck_epoch.h>
#include <ck_hs.h>
#include <ck_ht.h>
#include <ck_rhs.h>
}
#pragma pop_macro("false")

#include "harness/store_map.hpp"

/** Concurrency Kit's hash sets and table, with its epoch. One writer at a time. */

namespace bench
{

inline ck_malloc &ck_memory()
{
    static ck_malloc functions = {
        [](std::size_t bytes) { return std::malloc(bytes); },
        [](void *old, std::size_t, std::size_t bytes, bool) { return std::realloc(old, bytes); },
        [](void *memory, std::size_t, bool) { std::free(memory); }};
    return functions;
}

inline unsigned long ck_hash(const void *key, unsigned long)
{
    return hash_of(*static_cast<const StoreKey *>(key));
}
inline bool ck_equal(const void *a, const void *b)
{
    return *static_cast<const StoreKey *>(a) == *static_cast<const StoreKey *>(b);
}

class CkEpochThread
{
  public:
    explicit CkEpochThread(ck_epoch_t &epoch) : record_(new ck_epoch_record_t)
    {
        ck_epoch_register(&epoch, record_, nullptr); /* records belong to the epoch for ever */
    }
    void enter()
    {
        ck_epoch_begin(record_, nullptr);
    }
    void exit()
    {
        ck_epoch_end(record_, nullptr);
    }
    bool retire(StoreObject *object)
    {
        if (object == nullptr)
            return false;
        ck_epoch_call(record_, reinterpret_cast<ck_epoch_entry_t *>(object->links), reclaim);
        if (++retired_ % 512 == 0)
            ck_epoch_poll(record_);
        return true;
    }
    ck_epoch_record_t *record()
    {
        return record_;
    }
    void finish()
    {
        ck_epoch_barrier(record_);
        ck_epoch_unregister(record_);
    }

  private:
    static void reclaim(ck_epoch_entry_t *entry)
    {
        free_object(reinterpret_cast<char *>(entry) - offsetof(StoreObject, links));
    }
    ck_epoch_record_t *record_;
    std::size_t retired_ = 0;
};

/** ck_hs. */
struct CkHs {
    static constexpr const char *kName = "ck_hs + ck_epoch";
    using Set = ck_hs_t;
    static bool init(Set *set, std::size_t capacity)
    {
        return ck_hs_init(set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, ck_hash, ck_equal, &ck_memory(),
                          capacity, 1);
    }
    static unsigned long hash(Set *set, const void *key)
    {
        return CK_HS_HASH(set, ck_hash, key);
    }
    static constexpr auto get = ck_hs_get;
    static constexpr auto put = ck_hs_put;
    static constexpr auto set = ck_hs_set;
    static constexpr auto remove = ck_hs_remove;
};

/** ck_rhs: Robin Hood hashing. */
struct CkRhs {
    static constexpr const char *kName = "ck_rhs + ck_epoch";
    using Set = ck_rhs_t;
    static bool init(Set *set, std::size_t capacity)
    {
        return ck_rhs_init(set, CK_RHS_MODE_SPMC | CK_RHS_MODE_OBJECT, ck_hash, ck_equal,
                           &ck_memory(), capacity, 1);
    }
    static unsigned long hash(Set *set, const void *key)
    {
        return CK_RHS_HASH(set, ck_hash, key);
    }
    static constexpr auto get = ck_rhs_get;
    static constexpr auto put = ck_rhs_put;
    static constexpr auto set = ck_rhs_set;
    static constexpr auto remove = ck_rhs_remove;
};

/** Either set: the object begins with its key. */
template <class Kind> class CkSet
{
  public:
    static constexpr const char *kName = Kind::kName;

    explicit CkSet(std::size_t entries)
    {
        std::size_t slots = 64;
        while (slots < 2 * entries)
            slots *= 2;
        ck_epoch_init(&epoch_);
        if (!Kind::init(&set_, slots))
            throw std::bad_alloc();
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(CkSet &map) : map_(map), epoch_(map.epoch_)
        {
        }
        ~Thread()
        {
            epoch_.finish();
        }
        void enter()
        {
            epoch_.enter();
        }
        void exit()
        {
            epoch_.exit();
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            auto *object = static_cast<StoreObject *>(
                Kind::get(&map_.set_, Kind::hash(&map_.set_, &key), &key));
            return object == nullptr ? nullptr : &object->word;
        }
        bool insert(const StoreKey &key)
        {
            return Kind::put(&map_.set_, Kind::hash(&map_.set_, &key), make_object(key));
        }
        bool replace(const StoreKey &key)
        {
            void *old = nullptr;
            if (!Kind::set(&map_.set_, Kind::hash(&map_.set_, &key), make_object(key), &old))
                return false;
            return epoch_.retire(static_cast<StoreObject *>(old));
        }
        bool remove(const StoreKey &key)
        {
            return epoch_.retire(static_cast<StoreObject *>(
                Kind::remove(&map_.set_, Kind::hash(&map_.set_, &key), &key)));
        }

      private:
        CkSet &map_;
        CkEpochThread epoch_;
    };

  private:
    typename Kind::Set set_;
    ck_epoch_t epoch_;
};

/** ck_ht: a byte string of a key beside a pointer. */
class CkHt
{
  public:
    static constexpr const char *kName = "ck_ht + ck_epoch";

    explicit CkHt(std::size_t entries)
    {
        ck_epoch_init(&epoch_);
        if (!ck_ht_init(&table_, CK_HT_MODE_BYTESTRING, spread, &ck_memory(), 2 * entries, 1))
            throw std::bad_alloc();
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(CkHt &map) : map_(map), epoch_(map.epoch_)
        {
        }
        ~Thread()
        {
            epoch_.finish();
        }
        void enter()
        {
            epoch_.enter();
        }
        void exit()
        {
            epoch_.exit();
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            ck_ht_entry_t entry;
            ck_ht_entry_key_set(&entry, &key, sizeof key);
            if (!ck_ht_get_spmc(&map_.table_, hash(key), &entry))
                return nullptr;
            return &static_cast<StoreObject *>(ck_ht_entry_value(&entry))->word;
        }
        bool insert(const StoreKey &key)
        {
            ck_ht_entry_t entry;
            StoreObject *object = make_object(key);
            const ck_ht_hash_t spread = hash(key);
            ck_ht_entry_set(&entry, spread, &object->key, sizeof key, object);
            return ck_ht_put_spmc(&map_.table_, spread, &entry);
        }
        bool replace(const StoreKey &key)
        {
            ck_ht_entry_t entry;
            StoreObject *object = make_object(key);
            const ck_ht_hash_t spread = hash(key);
            ck_ht_entry_set(&entry, spread, &object->key, sizeof key, object);
            if (!ck_ht_set_spmc(&map_.table_, spread, &entry) || ck_ht_entry_empty(&entry))
                return false;
            return epoch_.retire(static_cast<StoreObject *>(ck_ht_entry_value(&entry)));
        }
        bool remove(const StoreKey &key)
        {
            ck_ht_entry_t entry;
            ck_ht_entry_key_set(&entry, &key, sizeof key);
            if (!ck_ht_remove_spmc(&map_.table_, hash(key), &entry))
                return false;
            return epoch_.retire(static_cast<StoreObject *>(ck_ht_entry_value(&entry)));
        }

      private:
        ck_ht_hash_t hash(const StoreKey &key)
        {
            ck_ht_hash_t out;
            ck_ht_hash(&out, &map_.table_, &key, sizeof key);
            return out;
        }
        CkHt &map_;
        CkEpochThread epoch_;
    };

  private:
    static void spread(ck_ht_hash_t *out, const void *key, std::size_t, std::uint64_t)
    {
        out->value = hash_of(*static_cast<const StoreKey *>(key));
    }
    ck_ht_t table_;
    ck_epoch_t epoch_;
};

} // namespace bench

#endif
