#include "memory/buffer_pool.h"

#include <inttypes.h>
#include <string.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"

#ifdef FLETCH_MODEL_CHECK
enum { HALF_MAX = 1, OUTGOING_BYTES = 256 };
#else
enum { HALF_MAX = 1 << 15, OUTGOING_BYTES = 256 << 10 };
#endif

static struct fletch_buffer *buffer_of_bundle(struct fletch_stack_node *bundle)
{
    return (struct fletch_buffer *)(void *)((char *)bundle -
                                            offsetof(struct fletch_buffer, bundle));
}

static struct fletch_buffer_region *region_of_node(struct fletch_stack_node *node)
{
    return (struct fletch_buffer_region *)(void *)node;
}

/* ---- the depot ---- */

static void push_bundle(struct fletch_buffer_pool *pool, struct fletch_buffer *block)
{
    fletch_node_stack_push(&pool->depot[block->size_class], &block->bundle, &block->bundle);
}

void fletch_buffer_pool_give(struct fletch_buffer_pool *pool, struct fletch_stack_node *first,
                             uint32_t count)
{
    if (first == NULL)
        return;
    struct fletch_buffer *block = fletch_buffer_of_node(first);
    block->bundle_count = count;
    block->generation = (uint16_t)load_relaxed(&pool->generation); /* relaxed: an age, no order */
    push_bundle(pool, block);
}

/* The first block of a bundle, or NULL. */
static struct fletch_buffer *take_bundle(struct fletch_buffer_pool *pool, uint32_t size_class)
{
    struct fletch_stack_node *bundle = fletch_node_stack_take(&pool->depot[size_class]);
    if (bundle == NULL)
        return NULL;
    fletch_node_stack_give_back(&pool->depot[size_class], bundle->next);
    return buffer_of_bundle(bundle);
}

/* ---- returning to other caches ---- */

/* Gives the chain `first` → … → `last` of blocks of any class back to their owner. */
static void return_chain(struct fletch_buffer_pool *pool, struct fletch_buffer_cache *owner,
                         struct fletch_stack_node *first, struct fletch_stack_node *last)
{
    if (fletch_node_stack_push(&owner->returned, first, last))
        return;
    /* The cache is closed: bundles of one block. */
    for (bool more = true; more;) {
        struct fletch_stack_node *next = first->next;
        more = first != last;
        first->next = NULL;
        fletch_buffer_pool_give(pool, first, 1);
        first = next;
    }
}

static void send_outgoing(struct fletch_buffer_cache *cache)
{
    struct fletch_outgoing outgoing = cache->outgoing;
    cache->outgoing = (struct fletch_outgoing){.owner = NULL};
    if (outgoing.first != NULL)
        return_chain(cache->pool, outgoing.owner, outgoing.first, outgoing.last);
}

void fletch_buffer_return(struct fletch_buffer_cache *cache, struct fletch_buffer *block)
{
    struct fletch_buffer_cache *owner = block->owner;
    if (cache == NULL || cache->pool != owner->pool) {
        return_chain(owner->pool, owner, &block->node, &block->node);
        return;
    }
    struct fletch_outgoing *outgoing = &cache->outgoing;
    if (outgoing->owner != owner) {
        send_outgoing(cache);
        outgoing->owner = owner;
        outgoing->last = &block->node;
    }
    block->node.next = outgoing->first;
    outgoing->first = &block->node;
    outgoing->bytes += fletch_buffer_block_bytes(block->size_class);
    if (outgoing->bytes >= OUTGOING_BYTES)
        send_outgoing(cache);
}

/* ---- growing ---- */

static void count_region(struct fletch_buffer_pool *pool, size_t bytes)
{
    /* relaxed: statistics */
    uint64_t mapped = fetch_add_relaxed(&pool->mapped_bytes, bytes) + bytes;
    uint64_t peak = load_relaxed(&pool->mapped_bytes_peak); /* relaxed: a statistic */
    /* relaxed: a statistic */
    while (peak < mapped && !cas_weak_relaxed(&pool->mapped_bytes_peak, &peak, mapped)) {
    }
    fetch_add_relaxed(&pool->regions_made, 1); /* relaxed: a statistic */
}

/* The first of a new region's blocks, or NULL. */
static struct fletch_buffer *grow(struct fletch_buffer_pool *pool, uint32_t size_class)
{
    struct fletch_stack_node *first;
    /* relaxed: only decides how large a region is */
    uint32_t made = load_relaxed(&pool->regions_of_class[size_class]);
    struct fletch_buffer_region *region =
        fletch_buffer_region_make(&pool->source, size_class, made, &first);
    if (region == NULL)
        return NULL;
    fetch_add_relaxed(&pool->regions_of_class[size_class], 1); /* relaxed: as above */
    count_region(pool, fletch_buffer_region_bytes(region));
    struct fletch_buffer *block = fletch_buffer_of_node(first);
    block->bundle_count = region->count;
    fletch_node_stack_push(&pool->regions, &region->node, &region->node);
    return block;
}

/* ---- the lists of a cache ---- */

static void empty_list(struct fletch_class_list *list)
{
    list->first = NULL;
    list->spare = NULL;
    list->count = 0;
    list->spare_count = 0;
    list->low = 0;
    list->limit = list->half;
}

void fletch_buffer_cache_overflow(struct fletch_buffer_cache *cache, uint32_t size_class)
{
    struct fletch_class_list *list = &cache->lists[size_class];
    fletch_buffer_pool_give(cache->pool, list->spare, list->spare_count);
    list->count -= list->spare_count;
    list->spare = list->first;
    list->spare_count = list->count;
    list->first = NULL;
    list->limit = list->count + list->half;
    if (list->low > list->count)
        list->low = list->count;
}

/* A block of the class from those that others returned; the ones on the way go to their lists. */
static struct fletch_buffer *search_taken(struct fletch_buffer_cache *cache, uint32_t size_class)
{
    while (cache->taken != NULL) {
        struct fletch_buffer *block = fletch_buffer_of_node(cache->taken);
        cache->taken = block->node.next;
        __builtin_prefetch(cache->taken, 1); /* was last written by another core */
        if (block->size_class == size_class)
            return block;
        fletch_buffer_cache_push(cache, block);
    }
    return NULL;
}

static struct fletch_buffer *search_returned(struct fletch_buffer_cache *cache, uint32_t size_class)
{
    struct fletch_buffer *block = search_taken(cache, size_class);
    if (block != NULL)
        return block;
    cache->taken = fletch_node_stack_take(&cache->returned);
    return search_taken(cache, size_class);
}

/* Moves the spare list, or what the depot or the system gives, to the first one, which is empty.
 * False: no memory. */
static bool refill_first(struct fletch_buffer_cache *cache, uint32_t size_class)
{
    struct fletch_class_list *list = &cache->lists[size_class];
    list->limit = list->half;
    if (list->spare != NULL) {
        list->first = list->spare;
        list->spare = NULL;
        list->spare_count = 0;
        return true;
    }
    struct fletch_buffer *block = take_bundle(cache->pool, size_class);
    if (block == NULL)
        block = grow(cache->pool, size_class);
    if (block == NULL)
        return false;
    list->first = &block->node;
    list->count = block->bundle_count;
    return true;
}

struct fletch_buffer *fletch_buffer_cache_refill(struct fletch_buffer_cache *cache,
                                                 uint32_t size_class)
{
    struct fletch_class_list *list = &cache->lists[size_class];
    struct fletch_buffer *block = NULL;
    send_outgoing(cache);
    if (list->spare == NULL)
        block = search_returned(cache, size_class);
    if (block == NULL && !refill_first(cache, size_class))
        return NULL;
    if (block == NULL) {
        block = fletch_buffer_of_node(list->first);
        list->first = list->first->next;
        list->count--;
    }
    if (list->low > list->count)
        list->low = list->count;
    block->owner = cache;
    return block;
}

/* Puts blocks that others returned onto their lists. */
static void sort_chain(struct fletch_buffer_cache *cache, struct fletch_stack_node *chain)
{
    while (chain != NULL) {
        struct fletch_buffer *block = fletch_buffer_of_node(chain);
        chain = chain->next;
        fletch_buffer_cache_push(cache, block);
    }
}

/* Gives all that the cache has to the depot; `returned` is what others had returned. */
static void flush(struct fletch_buffer_cache *cache, struct fletch_stack_node *returned)
{
    send_outgoing(cache);
    sort_chain(cache, cache->taken);
    cache->taken = NULL;
    sort_chain(cache, returned);
    for (uint32_t i = 0; i < FLETCH_SIZE_CLASSES; i++) {
        struct fletch_class_list *list = &cache->lists[i];
        fletch_buffer_pool_give(cache->pool, list->spare, list->spare_count);
        fletch_buffer_pool_give(cache->pool, list->first, list->count - list->spare_count);
        empty_list(list);
    }
}

/* Gives the last `surplus` blocks of a chain of `count`. */
static void give_tail(struct fletch_buffer_cache *cache, struct fletch_stack_node **link,
                      uint32_t count, uint32_t surplus)
{
    if (surplus == 0)
        return;
    for (uint32_t i = surplus; i < count; i++)
        link = &(*link)->next;
    fletch_buffer_pool_give(cache->pool, *link, surplus);
    *link = NULL;
}

/* Gives what was not needed since the last call: last in, first out, so it lies at the end, that
 * of the spare list first. */
static void give_surplus(struct fletch_buffer_cache *cache, struct fletch_class_list *list)
{
    uint32_t of_spare = list->low < list->spare_count ? list->low : list->spare_count;
    give_tail(cache, &list->spare, list->spare_count, of_spare);
    list->spare_count -= of_spare;
    list->limit = list->spare_count + list->half;
    list->count -= of_spare;
    give_tail(cache, &list->first, list->count - list->spare_count, list->low - of_spare);
    list->count -= list->low - of_spare;
    list->low = list->count;
}

/* ---- caches ---- */

static void start_cache(struct fletch_buffer_cache *cache, struct fletch_buffer_pool *pool)
{
    memset(cache, 0, sizeof *cache);
    cache->pool = pool;
    cache->process = pool->process;
    for (uint32_t i = 0; i < FLETCH_SIZE_CLASSES; i++) {
        size_t half = pool->cache_bytes / fletch_size_class_bytes(i) / 2;
        cache->lists[i].half = half < 1 ? 1 : half > HALF_MAX ? HALF_MAX : (uint32_t)half;
        empty_list(&cache->lists[i]);
    }
    store_relaxed(&cache->open, 1); /* relaxed: nobody else knows the cache yet */
    fletch_node_stack_open(&cache->returned);
}

/* A closed cache of the pool, or NULL. */
static struct fletch_buffer_cache *reopen(struct fletch_buffer_pool *pool)
{
    struct fletch_buffer_cache *cache = load_acquire(&pool->caches); /* E3 acquire */
    for (; cache != NULL; cache = cache->next) {
        uint32_t closed = 0;
        if (cas_strong_acquire(&cache->open, &closed, 1)) { /* E1 acquire */
            fletch_node_stack_open(&cache->returned);
            return cache;
        }
    }
    return NULL;
}

enum fletch_status fletch_buffer_cache_open(struct fletch_buffer_pool *pool,
                                            struct fletch_buffer_cache **out_cache,
                                            struct fletch_error *error)
{
    enum fletch_status status = fletch_process_check(pool->process, "this buffer pool", error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_buffer_cache *cache = reopen(pool);
    if (cache == NULL) {
        cache = fletch_allocate(&pool->source.allocator, sizeof *cache, FLETCH_INTERFERENCE_BYTES);
        if (cache == NULL)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for a buffer cache of %zu bytes", sizeof *cache);
        start_cache(cache, pool);
        cache->next = load_relaxed(&pool->caches); /* relaxed: only linked to */
        while (!cas_weak_release(&pool->caches, &cache->next, cache)) { /* E3 release */
        }
    }
    *out_cache = cache;
    return FLETCH_OK;
}

void fletch_buffer_cache_close(struct fletch_buffer_cache *cache)
{
    if (cache == NULL)
        return;
    flush(cache, fletch_node_stack_close(&cache->returned));
    store_release(&cache->open, 0); /* E1 release */
}

void fletch_buffer_cache_idle(struct fletch_buffer_cache *cache)
{
    send_outgoing(cache);
    sort_chain(cache, cache->taken);
    cache->taken = NULL;
    sort_chain(cache, fletch_node_stack_take(&cache->returned));
    for (uint32_t i = 0; i < FLETCH_SIZE_CLASSES; i++)
        give_surplus(cache, &cache->lists[i]);
}

/* ---- trimming ---- */

/* Bundles in a trimmer's hand, linked as in the depot. */
struct harvest {
    struct fletch_stack_node *bundles;
    uint64_t blocks;
    uint64_t bytes; /* of the blocks */
};

/* Takes the bundles of a class: all of them, or those that lie there since before `generation`. */
static void harvest_class(struct fletch_buffer_pool *pool, uint32_t size_class,
                          const uint16_t *generation, struct harvest *harvest)
{
    struct fletch_stack_node *bundle = fletch_node_stack_take(&pool->depot[size_class]);
    while (bundle != NULL) {
        struct fletch_buffer *first = buffer_of_bundle(bundle);
        bundle = bundle->next;
        if (generation != NULL && first->generation == *generation) {
            push_bundle(pool, first);
            continue;
        }
        harvest->blocks += first->bundle_count;
        harvest->bytes += first->bundle_count * fletch_size_class_bytes(size_class);
        first->bundle.next = harvest->bundles;
        harvest->bundles = &first->bundle;
    }
}

static struct harvest harvest_all(struct fletch_buffer_pool *pool, const uint16_t *generation)
{
    struct harvest harvest = {.bundles = NULL};
    for (uint32_t i = 0; i < FLETCH_SIZE_CLASSES; i++)
        harvest_class(pool, i, generation, &harvest);
    for (struct fletch_stack_node *at = harvest.bundles; at != NULL; at = at->next) {
        struct fletch_stack_node *node = &buffer_of_bundle(at)->node;
        for (; node != NULL; node = node->next)
            fletch_buffer_of_node(node)->region->found++;
    }
    return harvest;
}

/* Gives the bundles back without the blocks of regions that are free as a whole. */
static void put_harvest_back(struct fletch_buffer_pool *pool, struct fletch_stack_node *bundle)
{
    while (bundle != NULL) {
        struct fletch_buffer *first = buffer_of_bundle(bundle);
        struct fletch_stack_node *node = &first->node, *kept = NULL, **link = &kept;
        uint16_t generation = first->generation;
        uint32_t count = 0;
        bundle = bundle->next;
        for (; node != NULL; node = node->next) {
            const struct fletch_buffer_region *region = fletch_buffer_of_node(node)->region;
            if (region->found == region->count)
                continue;
            *link = node;
            link = &node->next;
            count++;
        }
        *link = NULL;
        if (kept == NULL)
            continue;
        fletch_buffer_of_node(kept)->bundle_count = count;
        fletch_buffer_of_node(kept)->generation = generation;
        push_bundle(pool, fletch_buffer_of_node(kept));
    }
}

/* Ends the regions of which all blocks were found, and forgets what was found in the others. */
static size_t end_free_regions(struct fletch_buffer_pool *pool)
{
    struct fletch_stack_node *node = fletch_node_stack_take(&pool->regions), *kept = NULL;
    size_t bytes = 0;
    while (node != NULL) {
        struct fletch_buffer_region *region = region_of_node(node);
        node = node->next;
        if (region->found == region->count) {
            bytes += fletch_buffer_region_bytes(region);
            fetch_sub_relaxed(&pool->regions_of_class[region->size_class], 1); /* relaxed: as in
                                                                                  grow */
            fetch_add_relaxed(&pool->regions_trimmed, 1); /* relaxed: a statistic */
            fletch_buffer_region_end(&pool->source, region);
            continue;
        }
        region->found = 0;
        region->node.next = kept;
        kept = &region->node;
    }
    fletch_node_stack_give_back(&pool->regions, kept);
    fetch_sub_relaxed(&pool->mapped_bytes, bytes); /* relaxed: a statistic */
    return bytes;
}

static size_t trim(struct fletch_buffer_pool *pool, const uint16_t *generation)
{
    uint32_t nobody = 0;
    if (!cas_strong_acquire(&pool->trimming, &nobody, 1)) /* E2 acquire */
        return 0;
    struct harvest harvest = harvest_all(pool, generation);
    put_harvest_back(pool, harvest.bundles);
    size_t bytes = harvest.bundles == NULL ? 0 : end_free_regions(pool);
    store_release(&pool->trimming, 0); /* E2 release */
    return bytes;
}

size_t fletch_buffer_pool_trim(struct fletch_buffer_pool *pool, struct fletch_buffer_cache *cache)
{
    if (cache != NULL)
        flush(cache, fletch_node_stack_take(&cache->returned));
    return trim(pool, NULL);
}

size_t fletch_buffer_pool_idle(struct fletch_buffer_pool *pool)
{
    uint16_t generation = (uint16_t)load_relaxed(&pool->generation); /* relaxed: an age, no order */
    size_t bytes = trim(pool, &generation);
    fetch_add_relaxed(&pool->generation, 1); /* relaxed: an age, no order */
    return bytes;
}

/* ---- making and ending a pool ---- */

enum fletch_status fletch_buffer_pool_create(const struct fletch_buffer_pool_options *options,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_buffer_pool **out_pool,
                                             struct fletch_error *error)
{
    struct fletch_buffer_pool_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    if (known.huge_pages != FLETCH_HUGE_PAGES_AUTO && known.huge_pages != FLETCH_HUGE_PAGES_OFF)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "huge_pages is %d, not a choice",
                                (int)known.huge_pages);
    struct fletch_buffer_pool *pool = fletch_block_allocate(allocator, sizeof *pool);
    if (pool == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a buffer pool of %zu bytes", sizeof *pool);
    memset(pool, 0, sizeof *pool);
    pool->source = (struct fletch_region_source){
        .allocator = fletch_allocator_or_default(allocator),
        .system_pages = allocator == NULL,
        .huge_pages = known.huge_pages == FLETCH_HUGE_PAGES_AUTO,
    };
    pool->process = fletch_process_number();
    pool->cache_bytes = known.cache_bytes == 0 ? FLETCH_CACHE_BYTES_DEFAULT : known.cache_bytes;
    *out_pool = pool;
    return FLETCH_OK;
}

/* Closes the caches that are open. */
static void close_caches(struct fletch_buffer_pool *pool)
{
    struct fletch_buffer_cache *cache = load_acquire(&pool->caches); /* E3 acquire */
    for (; cache != NULL; cache = cache->next) {
        uint32_t open = 1;
        if (cas_strong_acquire(&cache->open, &open, 1)) /* E1 acquire */
            fletch_buffer_cache_close(cache);
    }
}

/* Blocks of all regions without those of a harvest: `bundles` of the answer stays NULL. What a
 * trimmer found is forgotten. */
static struct harvest count_missing(struct fletch_buffer_pool *pool, const struct harvest *harvest)
{
    struct harvest missing = {.bundles = NULL};
    struct fletch_stack_node *regions = fletch_node_stack_take(&pool->regions);
    for (struct fletch_stack_node *node = regions; node != NULL; node = node->next) {
        struct fletch_buffer_region *region = region_of_node(node);
        region->found = 0;
        missing.blocks += region->count;
        missing.bytes += region->count * fletch_size_class_bytes(region->size_class);
    }
    fletch_node_stack_give_back(&pool->regions, regions);
    missing.blocks -= harvest->blocks;
    missing.bytes -= harvest->bytes;
    return missing;
}

static void end_pool(struct fletch_buffer_pool *pool)
{
    struct fletch_stack_node *region = fletch_node_stack_take(&pool->regions);
    while (region != NULL) {
        struct fletch_stack_node *next = region->next;
        fletch_buffer_region_end(&pool->source, region_of_node(region));
        region = next;
    }
    struct fletch_buffer_cache *cache = load_acquire(&pool->caches); /* E3 acquire */
    while (cache != NULL) {
        struct fletch_buffer_cache *next = cache->next;
        fletch_release(&pool->source.allocator, cache, sizeof *cache, FLETCH_INTERFERENCE_BYTES);
        cache = next;
    }
    fletch_block_release(pool);
}

enum fletch_status fletch_buffer_pool_destroy(struct fletch_buffer_pool *pool,
                                              struct fletch_error *error)
{
    if (pool == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_process_check(pool->process, "this buffer pool", error);
    if (status != FLETCH_OK)
        return status;
    close_caches(pool);
    struct harvest harvest = harvest_all(pool, NULL);
    struct harvest missing = count_missing(pool, &harvest);
    if (missing.blocks == 0) {
        end_pool(pool);
        return FLETCH_OK;
    }
    while (harvest.bundles != NULL) {
        struct fletch_buffer *first = buffer_of_bundle(harvest.bundles);
        harvest.bundles = harvest.bundles->next;
        push_bundle(pool, first);
    }
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "%" PRIu64 " buffers of the pool are still referred to, %" PRIu64
                            " bytes in all",
                            missing.blocks, missing.bytes);
}

void fletch_buffer_pool_statistics(const struct fletch_buffer_pool *pool,
                                   struct fletch_pool_statistics *out_statistics)
{
    struct fletch_pool_statistics statistics = {
        .struct_size = out_statistics->struct_size,
        .mapped_bytes = load_relaxed(&pool->mapped_bytes),           /* relaxed: a statistic */
        .mapped_bytes_peak = load_relaxed(&pool->mapped_bytes_peak), /* relaxed: a statistic */
        .regions_made = load_relaxed(&pool->regions_made),           /* relaxed: a statistic */
        .regions_trimmed = load_relaxed(&pool->regions_trimmed),     /* relaxed: a statistic */
    };
    const struct fletch_buffer_cache *cache = load_acquire(&pool->caches); /* E3 acquire */
    for (; cache != NULL; cache = cache->next)
        statistics.caches_open += load_relaxed(&cache->open); /* relaxed: a statistic */
    size_t bytes = out_statistics->struct_size;
    memcpy(out_statistics, &statistics, bytes < sizeof statistics ? bytes : sizeof statistics);
}
