/* What clients of Flight have said once, changed by its frames and messages, at a whole server.
 * Each file as it is has to reach the handlers.
 *
 *   mutations_flight_server SEED TRIALS FILE... */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/flight_feed.h"
#include "fuzz/grpc_mutator.h"
#include "fuzz/talk.h"

enum { CHANGES_MOST = 4 };

static struct talk good, bad;

static void read_talk(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    good.size = fread(good.bytes, 1, sizeof good.bytes, file);
    fclose(file);
}

static void add(struct flight_fed *sum, const struct flight_fed *fed)
{
    sum->calls += fed->calls;
    sum->unknown += fed->unknown;
    sum->tables += fed->tables;
    sum->batches_put += fed->batches_put;
    sum->batches_got += fed->batches_got;
    sum->sent += fed->sent;
}

static void try_changes(struct fletch_random *random, uint64_t trials, struct flight_fed *sum)
{
    for (uint64_t i = 0; i < trials; i++) {
        bad = good;
        for (uint32_t k = fletch_random_below(random, CHANGES_MOST) + 1; k != 0; k--)
            bad.size =
                grpc_mutate(bad.bytes, bad.size, sizeof bad.bytes, random, grpc_mutate_payload);
        const struct flight_fed fed = flight_feed_try(bad.bytes, bad.size);
        add(sum, &fed);
    }
}

static void tell(const char *what, const struct flight_fed *fed)
{
    printf("%s: %" PRIu64 " calls (%" PRIu64
           " unknown), %u tables, %u batches put, %u got, %" PRIu64 " bytes told\n",
           what, fed->calls, fed->unknown, (unsigned)fed->tables, (unsigned)fed->batches_put,
           (unsigned)fed->batches_got, fed->sent);
}

int main(int argc, char **argv)
{
    struct flight_fed whole = {.calls = 0}, changed = {.calls = 0};
    if (argc < 4) {
        fprintf(stderr, "usage: mutations_flight_server SEED TRIALS FILE...\n");
        return 2;
    }
    struct fletch_random random = fletch_random_from_seed(strtoull(argv[1], NULL, 10));
    flight_feed_start();
    for (int i = 3; i < argc; i++) {
        read_talk(argv[i]);
        const struct flight_fed fed = flight_feed_try(good.bytes, good.size);
        if (fed.calls == 0 || fed.unknown != 0) {
            tell(argv[i], &fed);
            return 1;
        }
        add(&whole, &fed);
        try_changes(&random, strtoull(argv[2], NULL, 10), &changed);
    }
    flight_feed_end();
    tell("as they were", &whole);
    tell("changed", &changed);
    /* Damage does not keep all from their aim. */
    return whole.batches_put != 0 && whole.batches_got != 0 && changed.batches_put != 0 &&
                   changed.batches_got != 0
               ? 0
               : 1;
}
