#include "support/payload.h"

#include <string.h>

static uint64_t mixed(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* producer: 8 bits, index: 40 bits, check: 16 bits. */
static uint64_t first_word(uint32_t producer, uint64_t index)
{
    uint64_t name = (uint64_t)producer << 56 | index << 16;
    return name | (mixed(name) & 0xffff);
}

static void write_from(char *bytes, size_t element_bytes, uint64_t word)
{
    memcpy(bytes, &word, sizeof word);
    for (size_t at = sizeof word; at < element_bytes; at += sizeof word) {
        uint64_t next = mixed(word + at);
        size_t left = element_bytes - at;
        memcpy(bytes + at, &next, left < sizeof next ? left : sizeof next);
    }
}

void payload_fill(void *element, size_t element_bytes, uint32_t producer, uint64_t index)
{
    write_from(element, element_bytes, first_word(producer, index));
}

bool payload_read(const void *element, size_t element_bytes, uint32_t *out_producer,
                  uint64_t *out_index)
{
    const char *bytes = element;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    *out_producer = (uint32_t)(word >> 56);
    *out_index = (word >> 16) & UINT64_C(0xffffffffff);
    if (word != first_word(*out_producer, *out_index))
        return false;
    for (size_t at = sizeof word; at < element_bytes; at += sizeof word) {
        uint64_t expected = mixed(word + at);
        size_t left = element_bytes - at;
        if (memcmp(bytes + at, &expected, left < sizeof expected ? left : sizeof expected) != 0)
            return false;
    }
    return true;
}

bool payload_is(const void *element, size_t element_bytes, uint32_t producer, uint64_t index)
{
    uint32_t found_producer;
    uint64_t found_index;
    return payload_read(element, element_bytes, &found_producer, &found_index) &&
           found_producer == producer && found_index == index;
}

void payload_watch_element(struct payload_watch *watch, const void *element)
{
    uint32_t producer;
    uint64_t index;
    watch->seen++;
    if (!payload_read(element, watch->element_bytes, &producer, &index) ||
        producer >= PAYLOAD_PRODUCERS_MAX) {
        watch->torn++;
        return;
    }
    if (index != watch->next[producer])
        watch->misplaced++;
    watch->next[producer] = index + 1;
}
