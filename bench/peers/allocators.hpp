#ifndef BENCH_PEERS_ALLOCATORS_HPP
#define BENCH_PEERS_ALLOCATORS_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <mimalloc.h>

/** Allocators as sources of buffers. Both libraries would replace malloc for the whole process if
 *  they were linked as they are: mimalloc is loaded at run time, jemalloc is wrapped
 *  (jemalloc_alone.c). */

extern "C" void *bench_jemalloc_take(std::size_t bytes);
extern "C" void bench_jemalloc_give(void *memory);
extern "C" void *bench_tuned_jemalloc_take(std::size_t bytes);
extern "C" void bench_tuned_jemalloc_give(void *memory);

namespace bench
{

inline void *symbol_of(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle == nullptr ? nullptr : dlsym(handle, name);
    if (symbol == nullptr) {
        std::fprintf(stderr, "%s: %s: %s\n", library, name, dlerror());
        std::exit(1);
    }
    return symbol;
}

/** A source has a side for each thread that takes or gives. With pages of 2 MiB, where the system
 *  has them: an option that is read once, when the first of them might be asked for. */
class Mimalloc
{
  public:
    static constexpr const char *kName = "mimalloc, large pages";
    using Item = void *;
    Mimalloc()
    {
        static const bool enabled = [] {
            reinterpret_cast<void (*)(mi_option_t)>(symbol_of(kLibrary, "mi_option_enable"))(
                mi_option_large_os_pages);
            return true;
        }();
        (void)enabled;
    }
    class Side
    {
      public:
        explicit Side(Mimalloc &)
            : allocate_(reinterpret_cast<void *(*)(std::size_t)>(symbol_of(kLibrary, "mi_malloc"))),
              release_(reinterpret_cast<void (*)(void *)>(symbol_of(kLibrary, "mi_free")))
        {
        }
        Item take(std::size_t bytes)
        {
            return allocate_(bytes);
        }
        void give(Item item)
        {
            release_(item);
        }
        static unsigned char *data(Item item)
        {
            return static_cast<unsigned char *>(item);
        }

      private:
        void *(*allocate_)(std::size_t);
        void (*release_)(void *);
    };

  private:
    static constexpr const char *kLibrary = "libmimalloc.so.2";
};

class Jemalloc
{
  public:
    static constexpr const char *kName = "jemalloc";
    using Item = void *;
    class Side
    {
      public:
        explicit Side(Jemalloc &)
        {
        }
        Item take(std::size_t bytes)
        {
            return bench_jemalloc_take(bytes);
        }
        void give(Item item)
        {
            bench_jemalloc_give(item);
        }
        static unsigned char *data(Item item)
        {
            return static_cast<unsigned char *>(item);
        }
    };
};

/** With caches of threads up to 4 MiB, huge pages, and nothing given back. */
class TunedJemalloc
{
  public:
    static constexpr const char *kName = "jemalloc, tuned";
    using Item = void *;
    class Side
    {
      public:
        explicit Side(TunedJemalloc &)
        {
        }
        Item take(std::size_t bytes)
        {
            return bench_tuned_jemalloc_take(bytes);
        }
        void give(Item item)
        {
            bench_tuned_jemalloc_give(item);
        }
        static unsigned char *data(Item item)
        {
            return static_cast<unsigned char *>(item);
        }
    };
};

/** What everybody starts with. */
class GlibcMalloc
{
  public:
    static constexpr const char *kName = "glibc malloc";
    using Item = void *;
    class Side
    {
      public:
        explicit Side(GlibcMalloc &)
        {
        }
        Item take(std::size_t bytes)
        {
            return std::aligned_alloc(64, bytes);
        }
        void give(Item item)
        {
            std::free(item);
        }
        static unsigned char *data(Item item)
        {
            return static_cast<unsigned char *>(item);
        }
    };
};

} // namespace bench

#endif
