#include "bench_stream.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "bench_threads.h"

enum { SEQUENCE_BITS = 56 }; /* of an element; above them is its producer's number */

struct stream {
    const struct bench_ring *kind;
    uint64_t round_ns;
    _Atomic uint32_t producers_left;
};

struct producer {
    struct stream *stream;
    void *end;
    uint64_t number;
    uint64_t given;
    uint64_t started_ns;
};

struct consumer {
    struct stream *stream;
    void *end;
    uint64_t next[BENCH_ENDS_MAX]; /* of each producer */
    uint64_t taken;
    uint64_t misplaced; /* that were not their producer's next */
    uint64_t ended_ns;
};

static void produce(void *argument)
{
    struct producer *producer = argument;
    const struct bench_ring *kind = producer->stream->kind;
    producer->started_ns = bench_clock_ns();
    while (kind->give(producer->end, producer->number << SEQUENCE_BITS | producer->given)) {
        producer->given += BENCH_RUN;
        if (bench_clock_ns() >= producer->started_ns + producer->stream->round_ns)
            break;
    }
    bool is_last = atomic_fetch_sub(&producer->stream->producers_left, 1) == 1;
    if (is_last || kind->ends_alone)
        kind->end(producer->end);
}

static void consume(void *argument)
{
    struct consumer *consumer = argument;
    uint64_t elements[BENCH_RUN];
    size_t count;
    do {
        count = consumer->stream->kind->take(consumer->end, elements);
        for (size_t i = 0; i < count; i++) {
            uint64_t producer = elements[i] >> SEQUENCE_BITS;
            uint64_t sequence = elements[i] & ((UINT64_C(1) << SEQUENCE_BITS) - 1);
            bool is_known = producer < consumer->stream->kind->producer_count;
            if (!is_known || sequence != consumer->next[producer])
                consumer->misplaced++;
            if (is_known)
                consumer->next[producer] = sequence + 1;
        }
        consumer->taken += count;
    } while (count == BENCH_RUN);
    consumer->ended_ns = bench_clock_ns();
}

/* Millions of elements in a second, once it is known that all have come. */
static enum outcome weigh(const struct bench_ring *kind, const struct producer *producers,
                          const struct consumer *consumers, double *out_figure)
{
    uint64_t elements = 0, started_ns = UINT64_MAX, ended_ns = 0;
    for (uint32_t p = 0; p < kind->producer_count; p++) {
        elements += producers[p].given;
        started_ns = producers[p].started_ns < started_ns ? producers[p].started_ns : started_ns;
    }
    for (uint32_t c = 0; c < kind->consumer_count; c++) {
        const struct consumer *consumer = &consumers[c];
        if (consumer->misplaced != 0 || consumer->taken != elements)
            return outcome_tell(
                OUTCOME_DIFFERS, "%s: of %llu elements %llu came, %llu of them out of their place",
                kind->title, (unsigned long long)elements, (unsigned long long)consumer->taken,
                (unsigned long long)consumer->misplaced);
        ended_ns = consumer->ended_ns > ended_ns ? consumer->ended_ns : ended_ns;
    }
    *out_figure = (double)elements * 1e3 / (double)(ended_ns - started_ns);
    return OUTCOME_DONE;
}

enum outcome bench_stream_run(const struct bench_ring *kind, uint64_t round_ns, double *out_figure)
{
    void *ring, *givers[BENCH_ENDS_MAX] = {NULL}, *takers[BENCH_ENDS_MAX] = {NULL};
    struct stream stream = {kind, round_ns, kind->producer_count};
    struct producer producers[BENCH_ENDS_MAX];
    struct consumer consumers[BENCH_ENDS_MAX];
    struct bench_thread threads[2 * BENCH_ENDS_MAX];
    struct fletch_error error;
    uint32_t count = 0;
    if (kind->open(&ring, givers, takers, &error) != FLETCH_OK)
        return outcome_tell_error(kind->title, &error);
    for (uint32_t i = 0; i < kind->producer_count; i++) {
        producers[i] = (struct producer){.stream = &stream, .end = givers[i], .number = i};
        threads[count++] = (struct bench_thread){produce, &producers[i]};
    }
    for (uint32_t i = 0; i < kind->consumer_count; i++) {
        consumers[i] = (struct consumer){.stream = &stream, .end = takers[i]};
        threads[count++] = (struct bench_thread){consume, &consumers[i]};
    }
    enum outcome outcome = bench_threads_run(threads, count);
    kind->close(ring);
    return outcome == OUTCOME_DONE ? weigh(kind, producers, consumers, out_figure) : outcome;
}
