#include "memory/buffer_region.h"

#include "base/allocator.h"
#include "base/bits.h"
#include "base/pages.h"
#include "base/poison.h"

/* Regions of classes up to half a large one are large once there are some; those of larger classes
 * have one block each. */
#ifdef FLETCH_MODEL_CHECK
enum { REGION_BYTES_FIRST = 256, REGION_BYTES_SMALL = 256, REGION_BYTES_LARGE = 256 };
#else
enum {
    REGION_BYTES_FIRST = 64 << 10,
    REGION_BYTES_SMALL = 256 << 10,
    REGION_BYTES_LARGE = 2 << 20
};
#endif
enum { PAGE_BYTES = 4096 };

/* Where the blocks of a class lie. */
struct region_plan {
    size_t data_bytes;
    size_t stride_bytes;
    uint32_t count;
    bool headers_beside; /* the blocks, in the data */
};

/* From a block to the next it is one line more than the bytes of the block, whatever that line is
 * used for: blocks would otherwise begin at the same place of a page, all of them, and their first
 * lines would push each other out of the caches. */
static struct region_plan plan_region(uint32_t size_class, uint32_t made)
{
    size_t capacity = fletch_size_class_bytes(size_class);
    struct region_plan plan = {
        .stride_bytes = capacity + FLETCH_BUFFER_HEADER_BYTES,
        .headers_beside = capacity < PAGE_BYTES,
    };
    size_t largest = plan.headers_beside ? REGION_BYTES_SMALL : REGION_BYTES_LARGE;
    size_t bytes = made < 5 ? (size_t)REGION_BYTES_FIRST << made : largest;
    if (bytes > largest || capacity >= REGION_BYTES_FIRST)
        bytes = largest;
    plan.count = capacity < bytes ? (uint32_t)(bytes / capacity) : 1;
    plan.data_bytes = plan.count * plan.stride_bytes;
    return plan;
}

static size_t alignment_of(const struct region_plan *plan)
{
    return plan->data_bytes >= REGION_BYTES_LARGE ? REGION_BYTES_LARGE
           : plan->data_bytes >= PAGE_BYTES       ? PAGE_BYTES
                                                  : FLETCH_BUFFER_ALIGNMENT;
}

/* The bytes of the blocks. */
static char *obtain_data(const struct fletch_region_source *source, const struct region_plan *plan)
{
    void *data = NULL;
    if (!source->system_pages)
        return fletch_allocate(&source->allocator, plan->data_bytes, alignment_of(plan));
    if (!fletch_pages_map(plan->data_bytes, &data))
        return NULL;
    if (!source->huge_pages)
        fletch_pages_keep_small(data, plan->data_bytes);
    return data;
}

static void start_block(struct fletch_buffer *block, struct fletch_buffer_region *region,
                        char *data)
{
    block->shared.end = fletch_buffer_end_shared;
    block->data = (uint8_t *)data;
    block->kind = FLETCH_BUFFER_OWN;
    block->size_class = (uint8_t)region->size_class;
    block->region = region;
}

/* Makes the headers and chains them in the order of their addresses. */
static struct fletch_stack_node *carve(struct fletch_buffer_region *region,
                                       const struct region_plan *plan)
{
    struct fletch_stack_node *first = NULL;
    for (uint32_t i = plan->count; i-- > 0;) {
        char *data = region->data + i * plan->stride_bytes;
        char *header = (char *)(region + 1) + i * sizeof(struct fletch_buffer);
        if (plan->headers_beside) {
            header = data;
            data += FLETCH_BUFFER_HEADER_BYTES;
        }
        struct fletch_buffer *block = (struct fletch_buffer *)(void *)header;
        start_block(block, region, data);
        block->node.next = first;
        first = &block->node;
        fletch_poison(data, fletch_size_class_bytes(region->size_class));
    }
    return first;
}

struct fletch_buffer_region *fletch_buffer_region_make(const struct fletch_region_source *source,
                                                       uint32_t size_class, uint32_t made,
                                                       struct fletch_stack_node **out_first)
{
    struct region_plan plan = plan_region(size_class, made);
    size_t own_bytes = sizeof(struct fletch_buffer_region);
    if (!plan.headers_beside)
        own_bytes += plan.count * sizeof(struct fletch_buffer);
    struct fletch_buffer_region *region =
        fletch_allocate(&source->allocator, own_bytes, FLETCH_BUFFER_ALIGNMENT);
    if (region == NULL)
        return NULL;
    char *data = obtain_data(source, &plan);
    if (data == NULL) {
        fletch_release(&source->allocator, region, own_bytes, FLETCH_BUFFER_ALIGNMENT);
        return NULL;
    }
    *region = (struct fletch_buffer_region){
        .data = data,
        .data_bytes = plan.data_bytes,
        .own_bytes = own_bytes,
        .size_class = size_class,
        .count = plan.count,
    };
    *out_first = carve(region, &plan);
    return region;
}

void fletch_buffer_region_end(const struct fletch_region_source *source,
                              struct fletch_buffer_region *region)
{
    const struct region_plan plan = {.data_bytes = region->data_bytes};
    fletch_unpoison(region->data, region->data_bytes);
    if (source->system_pages)
        fletch_pages_release(region->data, region->data_bytes);
    else
        fletch_release(&source->allocator, region->data, region->data_bytes, alignment_of(&plan));
    fletch_release(&source->allocator, region, region->own_bytes, FLETCH_BUFFER_ALIGNMENT);
}
