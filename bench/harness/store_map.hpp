#ifndef BENCH_HARNESS_STORE_MAP_HPP
#define BENCH_HARNESS_STORE_MAP_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

/** What every map of the store benchmarks holds, and how keys are spread by those that let us. */

namespace bench
{

struct StoreKey {
    std::uint64_t shuffle;
    std::uint32_t partition;
    std::uint32_t slot;
    bool operator==(const StoreKey &other) const
    {
        return shuffle == other.shuffle && partition == other.partition && slot == other.slot;
    }
};

inline StoreKey store_key(std::uint64_t number, std::uint32_t slot = 0)
{
    return {42, static_cast<std::uint32_t>(number), slot};
}

/** As ours. */
inline std::uint64_t hash_of(const StoreKey &key)
{
    const auto fold = [](std::uint64_t a, std::uint64_t b) {
        __extension__ using Wide = unsigned __int128;
        const Wide product = static_cast<Wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    std::uint64_t place = static_cast<std::uint64_t>(key.slot) << 32 | key.partition;
    place = (place ^ 0x2d358dccaa6c78a5u) * 0xe7037ed1a0b428dbu;
    place ^= place >> 32;
    return fold(place ^ fold(key.shuffle ^ 0x8bb84b93962eacc9u, 0xa0761d6478bd642fu),
                0x8ebc6af09c88c6e3u);
}

/** A peer's object: one line, as a value of ours with its header. */
struct alignas(64) StoreObject {
    StoreKey key;
    std::atomic<std::uint64_t> references;
    std::uint64_t word;
    void *links[3]; /* of whoever frees it later, or chains it */
};
static_assert(sizeof(StoreObject) == 64, "one line");

inline StoreObject *make_object(const StoreKey &key)
{
    void *memory = std::aligned_alloc(64, sizeof(StoreObject));
    if (memory == nullptr)
        throw std::bad_alloc();
    return new (memory) StoreObject{key, {1}, key.partition, {nullptr, nullptr, nullptr}};
}

inline void free_object(void *object)
{
    std::free(object);
}

/* A map is a class with
 *     kName, explicit Map(std::size_t entries)          made for so many entries
 *     class Thread { explicit Thread(Map &);             a thread's handle
 *         void enter(); void exit();                     the section in which what is found is good
 *         const std::uint64_t *find(const StoreKey &);   the word of the object, or nullptr
 *         const std::uint64_t *acquire(const StoreKey &) with a reference, outside of any section
 *         void release(const std::uint64_t *);
 *         std::size_t find_many(const StoreKey *, std::size_t, const std::uint64_t **);
 *         std::size_t acquire_many(the same);
 *         void release_many(const std::uint64_t **, std::size_t);
 *         bool insert(const StoreKey &);                 a fresh object
 *         bool replace(const StoreKey &);
 *         bool remove(const StoreKey &); }
 */

/** The parts of a thread's handle that follow from the others. */
template <class Self> class PlainThread
{
  public:
    const std::uint64_t *acquire(const StoreKey &key)
    {
        self().enter();
        const std::uint64_t *word = self().find(key);
        if (word != nullptr)
            references_of(word).fetch_add(1, std::memory_order_relaxed);
        self().exit();
        return word;
    }
    void release(const std::uint64_t *word)
    {
        references_of(word).fetch_sub(1, std::memory_order_acq_rel);
    }
    std::size_t find_many(const StoreKey *keys, std::size_t count, const std::uint64_t **words)
    {
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; ++i) {
            words[i] = self().find(keys[i]);
            found += words[i] != nullptr;
        }
        return found;
    }
    /** The bulk look-up, if there is one, and as many counts. */
    std::size_t acquire_many(const StoreKey *keys, std::size_t count, const std::uint64_t **words)
    {
        self().enter();
        const std::size_t found = self().find_many(keys, count, words);
        for (std::size_t i = 0; i < count; ++i)
            if (words[i] != nullptr)
                references_of(words[i]).fetch_add(1, std::memory_order_relaxed);
        self().exit();
        return found;
    }
    void release_many(const std::uint64_t **words, std::size_t count)
    {
        for (std::size_t i = 0; i < count; ++i)
            self().release(words[i]);
    }

  protected:
    static std::atomic<std::uint64_t> &references_of(const std::uint64_t *word)
    {
        const char *at = reinterpret_cast<const char *>(word) - offsetof(StoreObject, word);
        return reinterpret_cast<StoreObject *>(const_cast<char *>(at))->references;
    }

  private:
    Self &self()
    {
        return static_cast<Self &>(*this);
    }
};

} // namespace bench

#endif
