#ifndef BENCH_PEERS_PLAIN_TABLE_HPP
#define BENCH_PEERS_PLAIN_TABLE_HPP

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <pthread.h>

#include "harness/store_map.hpp"

/** A table for one thread, as floor, and the locks that people put around one. */

namespace bench
{

/** Open addressing with (hash, pointer) pairs, half full; removal leaves a mark. */
class OneThreadTable
{
  public:
    explicit OneThreadTable(std::size_t entries)
    {
        std::size_t slots = 16;
        while (slots < 2 * entries)
            slots *= 2;
        slots_.resize(slots);
        mask_ = slots - 1;
    }
    ~OneThreadTable()
    {
        for (Slot &slot : slots_)
            free_object(slot.object);
    }
    OneThreadTable(const OneThreadTable &) = delete;
    OneThreadTable &operator=(const OneThreadTable &) = delete;
    StoreObject **find(const StoreKey &key, std::uint64_t hash)
    {
        for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
            Slot &slot = slots_[i];
            if (slot.hash == 0)
                return nullptr;
            if (slot.hash == (hash | 1) && slot.object != nullptr && slot.object->key == key)
                return &slot.object;
        }
    }
    bool insert(const StoreKey &key, std::uint64_t hash, StoreObject *object)
    {
        if (find(key, hash) != nullptr)
            return false;
        std::size_t i = hash & mask_;
        while (slots_[i].object != nullptr)
            i = (i + 1) & mask_;
        slots_[i] = {hash | 1, object};
        return true;
    }

  private:
    struct Slot {
        std::uint64_t hash = 0;
        StoreObject *object = nullptr;
    };
    std::vector<Slot> slots_;
    std::size_t mask_;
};

struct NoLock {
    static constexpr const char *kName = "floor: one thread, no lock";
    void lock_shared()
    {
    }
    void lock()
    {
    }
    void unlock()
    {
    }
};

class Mutex
{
  public:
    static constexpr const char *kName = "one mutex";
    void lock_shared()
    {
        lock();
    }
    void lock()
    {
        pthread_mutex_lock(&mutex_);
    }
    void unlock()
    {
        pthread_mutex_unlock(&mutex_);
    }

  private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class RwLock
{
  public:
    static constexpr const char *kName = "one rwlock";
    void lock_shared()
    {
        pthread_rwlock_rdlock(&lock_);
    }
    void lock()
    {
        pthread_rwlock_wrlock(&lock_);
    }
    void unlock()
    {
        pthread_rwlock_unlock(&lock_);
    }

  private:
    pthread_rwlock_t lock_ = PTHREAD_RWLOCK_INITIALIZER;
};

/** kStripes tables, each with its lock, which a look-up holds until the section ends. */
template <class Lock, std::size_t kStripes> class LockedTable
{
  public:
    static constexpr const char *kName = kStripes == 1 ? Lock::kName : "64 mutex stripes";

    explicit LockedTable(std::size_t entries)
    {
        for (auto &stripe : stripes_)
            stripe = std::make_unique<Stripe>(entries / kStripes + 16 + entries / kStripes / 4);
    }

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(LockedTable &map) : map_(map)
        {
        }
        void enter()
        {
        }
        void exit()
        {
            if (held_ != nullptr)
                held_->lock.unlock();
            held_ = nullptr;
        }
        const std::uint64_t *find(const StoreKey &key)
        {
            const std::uint64_t hash = hash_of(key);
            Stripe &stripe = map_.stripe_of(hash);
            if (held_ != &stripe) {
                exit();
                held_ = &stripe;
                stripe.lock.lock_shared();
            }
            StoreObject **found = stripe.table.find(key, hash);
            return found == nullptr ? nullptr : &(*found)->word;
        }
        bool insert(const StoreKey &key)
        {
            const std::uint64_t hash = hash_of(key);
            Stripe &stripe = map_.stripe_of(hash);
            StoreObject *object = make_object(key);
            stripe.lock.lock();
            const bool done = stripe.table.insert(key, hash, object);
            stripe.lock.unlock();
            return done;
        }
        bool replace(const StoreKey &key)
        {
            return swap(key, make_object(key));
        }
        bool remove(const StoreKey &key)
        {
            return swap(key, nullptr);
        }

      private:
        bool swap(const StoreKey &key, StoreObject *fresh)
        {
            const std::uint64_t hash = hash_of(key);
            Stripe &stripe = map_.stripe_of(hash);
            stripe.lock.lock();
            StoreObject **found = stripe.table.find(key, hash);
            StoreObject *old = found == nullptr ? nullptr : *found;
            if (found != nullptr)
                *found = fresh;
            stripe.lock.unlock();
            free_object(found == nullptr ? fresh : old);
            return found != nullptr;
        }
        LockedTable &map_;
        typename LockedTable::Stripe *held_ = nullptr;
    };

  private:
    struct alignas(128) Stripe {
        explicit Stripe(std::size_t entries) : table(entries)
        {
        }
        Lock lock;
        OneThreadTable table;
    };
    Stripe &stripe_of(std::uint64_t hash)
    {
        return *stripes_[hash >> 32 & (kStripes - 1)];
    }
    std::array<std::unique_ptr<Stripe>, kStripes> stripes_;
};

using OneThreadFloor = LockedTable<NoLock, 1>;
using MutexTable = LockedTable<Mutex, 1>;
using StripedTable = LockedTable<Mutex, 64>;
using RwLockTable = LockedTable<RwLock, 1>;

} // namespace bench

#endif
