#include "shuffle/watermarks.h"

#define NONE FLETCH_WATERMARK_NONE

void fletch_watermarks_init(struct fletch_watermarks *watermarks,
                            struct fletch_watermark_entry *entries, uint32_t *heap,
                            uint64_t idle_ns)
{
    *watermarks = (struct fletch_watermarks){
        .entries = entries, .heap = heap, .idle_ns = idle_ns, .earliest = NONE, .latest = NONE};
}

/* ---- the heap ---- */

static int64_t watermark_at(const struct fletch_watermarks *watermarks, uint32_t place)
{
    return watermarks->entries[watermarks->heap[place]].watermark;
}

static void put(struct fletch_watermarks *watermarks, uint32_t place, uint32_t producer)
{
    watermarks->heap[place] = producer;
    watermarks->entries[producer].place = place;
}

static void sift_up(struct fletch_watermarks *watermarks, uint32_t place)
{
    uint32_t producer = watermarks->heap[place];
    int64_t watermark = watermarks->entries[producer].watermark;
    while (place > 0 && watermark < watermark_at(watermarks, (place - 1) / 2)) {
        put(watermarks, place, watermarks->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(watermarks, place, producer);
}

static void sift_down(struct fletch_watermarks *watermarks, uint32_t place)
{
    uint32_t producer = watermarks->heap[place];
    int64_t watermark = watermarks->entries[producer].watermark;
    for (;;) {
        uint64_t child = 2 * (uint64_t)place + 1;
        if (child >= watermarks->count)
            break;
        if (child + 1 < watermarks->count && watermark_at(watermarks, (uint32_t)child + 1) <
                                                 watermark_at(watermarks, (uint32_t)child))
            child++;
        if (watermark <= watermark_at(watermarks, (uint32_t)child))
            break;
        put(watermarks, place, watermarks->heap[child]);
        place = (uint32_t)child;
    }
    put(watermarks, place, producer);
}

/* ---- the list by time ---- */

static void link_latest(struct fletch_watermarks *watermarks, uint32_t producer)
{
    struct fletch_watermark_entry *entries = watermarks->entries;
    entries[producer].earlier = watermarks->latest;
    entries[producer].later = NONE;
    *(watermarks->latest == NONE ? &watermarks->earliest : &entries[watermarks->latest].later) =
        producer;
    watermarks->latest = producer;
}

static void unlink_entry(struct fletch_watermarks *watermarks, uint32_t producer)
{
    struct fletch_watermark_entry *entries = watermarks->entries;
    uint32_t earlier = entries[producer].earlier;
    uint32_t later = entries[producer].later;
    *(earlier == NONE ? &watermarks->earliest : &entries[earlier].later) = later;
    *(later == NONE ? &watermarks->latest : &entries[later].earlier) = earlier;
}

/* ---- both ---- */

static void count_in(struct fletch_watermarks *watermarks, uint32_t producer, uint64_t now_ns)
{
    watermarks->entries[producer].told_ns = now_ns;
    watermarks->heap[watermarks->count] = producer;
    sift_up(watermarks, watermarks->count++);
    link_latest(watermarks, producer);
}

void fletch_watermarks_add(struct fletch_watermarks *watermarks, uint32_t producer, uint64_t now_ns)
{
    watermarks->entries[producer] = (struct fletch_watermark_entry){.watermark = INT64_MIN};
    count_in(watermarks, producer, now_ns);
}

bool fletch_watermarks_set(struct fletch_watermarks *watermarks, uint32_t producer,
                           int64_t watermark, uint64_t now_ns)
{
    struct fletch_watermark_entry *entry = &watermarks->entries[producer];
    bool grows = watermark >= entry->watermark;
    if (grows)
        entry->watermark = watermark;
    if (entry->place == NONE) {
        count_in(watermarks, producer, now_ns);
        return grows;
    }
    sift_down(watermarks, entry->place);
    entry->told_ns = now_ns;
    unlink_entry(watermarks, producer);
    link_latest(watermarks, producer);
    return grows;
}

void fletch_watermarks_drop(struct fletch_watermarks *watermarks, uint32_t producer)
{
    uint32_t place = watermarks->entries[producer].place;
    if (place == NONE)
        return;
    unlink_entry(watermarks, producer);
    watermarks->entries[producer].place = NONE;
    uint32_t last = watermarks->heap[--watermarks->count];
    if (last == producer)
        return;
    put(watermarks, place, last);
    sift_up(watermarks, place);
    sift_down(watermarks, watermarks->entries[last].place);
}

uint64_t fletch_watermarks_due_ns(const struct fletch_watermarks *watermarks)
{
    if (watermarks->idle_ns == 0 || watermarks->earliest == NONE)
        return UINT64_MAX;
    uint64_t told_ns = watermarks->entries[watermarks->earliest].told_ns;
    return told_ns > UINT64_MAX - watermarks->idle_ns ? UINT64_MAX : told_ns + watermarks->idle_ns;
}

void fletch_watermarks_pass_time(struct fletch_watermarks *watermarks, uint64_t now_ns)
{
    while (fletch_watermarks_due_ns(watermarks) != UINT64_MAX &&
           fletch_watermarks_due_ns(watermarks) <= now_ns)
        fletch_watermarks_drop(watermarks, watermarks->earliest);
}

bool fletch_watermarks_least(const struct fletch_watermarks *watermarks, int64_t *out_least)
{
    if (watermarks->count == 0)
        return false;
    *out_least = watermark_at(watermarks, 0);
    return true;
}
