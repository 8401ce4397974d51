#include <fletching/fletching.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what)
{
    fprintf(stderr, "failed: %s\n", what);
    return 1;
}

static int use_spsc_ring(void)
{
    struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options, .element_bytes = sizeof(uint64_t), .capacity = 4};
    struct fletch_spsc_ring *ring;
    struct fletch_error error;
    uint64_t element = 7;
    if (fletch_spsc_ring_create(&options, NULL, &ring, &error) != FLETCH_OK)
        return fail(error.message);
    if (fletch_spsc_ring_try_push(ring, &element) != FLETCH_DONE)
        return fail("push");
    element = 0;
    if (fletch_spsc_ring_pop(ring, &element, FLETCH_NO_TIMEOUT) != FLETCH_DONE || element != 7)
        return fail("pop");
    fletch_spsc_ring_close(ring);
    if (fletch_spsc_ring_try_pop(ring, &element) != FLETCH_CLOSED)
        return fail("pop after close");
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    return 0;
}

static int use_mpsc_queue(void)
{
    struct fletch_mpsc_queue_options options = {.struct_size = sizeof options,
                                                .element_bytes = sizeof(uint64_t)};
    struct fletch_mpsc_queue *queue;
    struct fletch_error error;
    uint64_t element = 9;
    if (fletch_mpsc_queue_create(&options, NULL, &queue, &error) != FLETCH_INVALID_ARGUMENT)
        return fail("a capacity of 0 was accepted");
    options.capacity = 4;
    if (fletch_mpsc_queue_create(&options, NULL, &queue, &error) != FLETCH_OK)
        return fail(error.message);
    if (fletch_mpsc_queue_try_push(queue, &element) != FLETCH_DONE)
        return fail("push");
    if (fletch_mpsc_queue_try_pop(queue, &element) != FLETCH_DONE || element != 9)
        return fail("pop");
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    return 0;
}

int main(void)
{
    char compiled[32];
    snprintf(compiled, sizeof compiled, "%d.%d.%d", FLETCH_VERSION_MAJOR, FLETCH_VERSION_MINOR,
             FLETCH_VERSION_PATCH);
    if (strcmp(fletch_version(), compiled) != 0)
        return fail("the library is of another version than the headers");
    printf("fletching %s from C\n", fletch_version());
    return use_spsc_ring() != 0 || use_mpsc_queue() != 0;
}
