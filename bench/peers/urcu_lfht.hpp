#ifndef BENCH_PEERS_URCU_LFHT_HPP
#define BENCH_PEERS_URCU_LFHT_HPP

#include <new>
#include <vector>

#include "peers/urcu_flavors.hpp"

#include <urcu/rculfhash.h>

#include "harness/store_map.hpp"

namespace bench
{

/** Split-ordered list; the node lies in the object. What is removed is freed in batches after a
 *  grace period, as ours is. */
template <class Flavor> class UrcuLfht
{
  public:
    static constexpr const char *kName = Flavor::kTableName;

    explicit UrcuLfht(std::size_t entries)
    {
        std::size_t buckets = 64;
        while (buckets < entries)
            buckets *= 2;
        table_ = cds_lfht_new_flavor(buckets, buckets, 0, 0, Flavor::flavor(), nullptr);
        if (table_ == nullptr)
            throw std::bad_alloc();
    }
    UrcuLfht(const UrcuLfht &) = delete;
    UrcuLfht &operator=(const UrcuLfht &) = delete;

    class Thread : public PlainThread<Thread>
    {
      public:
        explicit Thread(UrcuLfht &map) : table_(map.table_)
        {
            Flavor::register_thread();
        }
        ~Thread()
        {
            free_removed();
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
        const std::uint64_t *find(const StoreKey &key)
        {
            cds_lfht_iter iter;
            cds_lfht_lookup(table_, hash_of(key), match, &key, &iter);
            cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
            return node == nullptr ? nullptr : &object_of(node)->word;
        }
        bool insert(const StoreKey &key)
        {
            cds_lfht_node *node = make_node(key);
            Flavor::enter();
            const bool done = cds_lfht_add_unique(table_, hash_of(key), match, &key, node) == node;
            Flavor::exit();
            return done;
        }
        bool replace(const StoreKey &key)
        {
            cds_lfht_node *node = make_node(key);
            Flavor::enter();
            cds_lfht_node *old = cds_lfht_add_replace(table_, hash_of(key), match, &key, node);
            Flavor::exit();
            return note_removed(old);
        }
        bool remove(const StoreKey &key)
        {
            cds_lfht_iter iter;
            Flavor::enter();
            cds_lfht_lookup(table_, hash_of(key), match, &key, &iter);
            cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
            const bool done = node != nullptr && cds_lfht_del(table_, node) == 0;
            Flavor::exit();
            return note_removed(done ? node : nullptr);
        }

      private:
        static constexpr std::size_t kBatch = 512;
        static cds_lfht_node *make_node(const StoreKey &key)
        {
            auto *node = reinterpret_cast<cds_lfht_node *>(make_object(key)->links);
            cds_lfht_node_init(node);
            return node;
        }
        static StoreObject *object_of(cds_lfht_node *node)
        {
            return reinterpret_cast<StoreObject *>(reinterpret_cast<char *>(node) -
                                                   offsetof(StoreObject, links));
        }
        static int match(cds_lfht_node *node, const void *key)
        {
            return object_of(node)->key == *static_cast<const StoreKey *>(key) ? 1 : 0;
        }
        bool note_removed(cds_lfht_node *node)
        {
            if (node == nullptr)
                return false;
            removed_.push_back(object_of(node));
            if (removed_.size() == kBatch)
                free_removed();
            return true;
        }
        void free_removed()
        {
            if (removed_.empty())
                return;
            Flavor::synchronize();
            for (StoreObject *object : removed_)
                free_object(object);
            removed_.clear();
        }
        cds_lfht *table_;
        std::vector<StoreObject *> removed_;
    };

  private:
    cds_lfht *table_;
};

} // namespace bench

#endif
