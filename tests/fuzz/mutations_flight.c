/* Good messages of Flight, damaged by a seed and given to the fuzz target: flipped bits, other
 * bytes, cut, doubled and moved parts.
 *
 *   mutations_flight SEED ROUNDS [FOLDER]     FOLDER: where to put the good ones, for a fuzzer to
 *                                             begin with */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "flight/flight_writer.h"
#include "fuzz/fuzz_target.h"
#include "support/pools.h"
#include "support/random_batches.h"

enum { INPUT_MOST = 1 << 17, CHANGES_MOST = 4, DATA_CHOICE = FLETCH_FLIGHT_SESSION_ERRORS + 1 };

struct input {
    size_t size;
    uint8_t bytes[INPUT_MOST];
};

static struct input good, bad;
static const char *folder; /* NULL: none */

/* ---- good ones ---- */

static void set_message(enum fletch_flight_message kind, const void *message)
{
    struct fletch_flight_bytes bytes;
    struct fletch_error error;
    if (fletch_flight_encode(kind, message, NULL, &bytes, &error) != FLETCH_OK)
        fuzz_stop("encode", error.message);
    good.bytes[0] = (uint8_t)kind;
    memcpy(good.bytes + 1, bytes.data, bytes.bytes);
    good.size = 1 + bytes.bytes;
    fletch_flight_release(bytes.data);
}

/* Adds each message of the chain as the target takes it: its size, that of pieces, its bytes. */
static void add_chain(const struct fletch_flight_chain *chain)
{
    const struct fletch_inbox_node *node = chain->first;
    for (; node != NULL; node = node->next) {
        const struct fletch_flight_outgoing *outgoing = (const void *)node;
        if (outgoing->bytes > UINT16_MAX || good.size + outgoing->bytes + 3 > INPUT_MOST)
            fuzz_stop("a good message", "is too large");
        good.bytes[good.size++] = (uint8_t)(outgoing->bytes >> 8);
        good.bytes[good.size++] = (uint8_t)outgoing->bytes;
        good.bytes[good.size++] = 200;
        for (uint32_t i = 1; i < outgoing->grpc.slice_count; i++) {
            const struct iovec *slice = &outgoing->grpc.slices[i];
            memcpy(good.bytes + good.size, slice->iov_base, slice->iov_len);
            good.size += slice->iov_len;
        }
    }
}

static void set_data(struct fletch_random *random, struct test_pool *pool,
                     struct fletch_schema *schema)
{
    static const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND, .command = {"c", 1}};
    struct fletch_flight_writer writer = {.memory = {pool->cache, NULL}};
    const struct fletch_flight_writing writing = {
        .schema = schema, .descriptor = &descriptor, .message_limit_bytes = 60000};
    struct fletch_flight_chain chain = {0};
    struct fletch_error error;
    struct fletch_batch *batch = random_batch(random, pool->cache, schema, 20);
    const struct fletch_flight_output output = {.batch = batch, .app_metadata = {"meta", 4}};
    good.bytes[0] = DATA_CHOICE;
    good.size = 1;
    if (fletch_flight_writer_begin(&writer, &writing, &chain, &error) != FLETCH_OK ||
        fletch_flight_writer_write(&writer, &output, &chain, &error) != FLETCH_OK)
        fuzz_stop("write", error.message);
    add_chain(&chain);
    fletch_flight_chain_free(pool->cache, &chain);
    fletch_flight_writer_end(&writer);
    fletch_batch_release(pool->cache, batch);
}

/* ---- bad ones ---- */

static void change(struct fletch_random *random)
{
    size_t at = fletch_random_below(random, (uint32_t)bad.size);
    size_t rest = bad.size - at;
    size_t part = fletch_random_below(random, (uint32_t)(rest < 64 ? rest : 64) + 1);
    switch (fletch_random_below(random, 5)) {
    case 0:
        bad.bytes[at] ^= (uint8_t)(1 << fletch_random_below(random, 8));
        return;
    case 1:
        bad.bytes[at] = (uint8_t)fletch_random_u64(random);
        return;
    case 2: /* a part less */
        memmove(bad.bytes + at, bad.bytes + at + part, rest - part);
        bad.size -= part;
        return;
    case 3: /* a part twice */
        if (bad.size + part > INPUT_MOST)
            return;
        memmove(bad.bytes + at + part, bad.bytes + at, rest);
        bad.size += part;
        return;
    default:
        bad.size = at + 1;
        return;
    }
}

static void write_good(void)
{
    static int number;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/flight-%d", folder, number++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(good.bytes, 1, good.size, file) != good.size || fclose(file) != 0)
        fuzz_stop(path, "cannot be written");
}

static void damage(struct fletch_random *random, unsigned long rounds)
{
    if (folder != NULL)
        write_good();
    (void)LLVMFuzzerTestOneInput(good.bytes, good.size);
    for (unsigned long i = 0; i < rounds; i++) {
        memcpy(bad.bytes, good.bytes, good.size);
        bad.size = good.size;
        uint32_t changes = 1 + fletch_random_below(random, CHANGES_MOST);
        while (changes-- != 0 && bad.size != 0)
            change(random);
        (void)LLVMFuzzerTestOneInput(bad.bytes, bad.size);
    }
}

static void damage_messages(struct fletch_random *random, unsigned long rounds)
{
    static const char *const texts[] = {"a", "b"};
    const struct fletch_flight_descriptor path = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = texts, .path_count = 2};
    struct fletch_schema *schema = schema_of_every_type();
    const struct fletch_flight_endpoint endpoint = {
        .ticket = {"t", 1}, .locations = texts, .location_count = 2, .has_expiration = true};
    const struct fletch_flight_info info = {
        .schema = schema, .descriptor = path, .endpoints = &endpoint, .endpoint_count = 1};
    const struct fletch_flight_poll_info poll = {
        .info = &info, .descriptor = path, .has_progress = true};
    const struct fletch_flight_session_option options[] = {
        {.name = "l", .type = FLETCH_FLIGHT_OPTION_STRINGS, .strings = texts, .string_count = 2},
        {.name = "i", .type = FLETCH_FLIGHT_OPTION_INT64, .integer = 1},
    };
    const struct fletch_flight_session_options session = {options, 2};
    set_message(FLETCH_FLIGHT_POLL_INFO, &poll);
    damage(random, rounds);
    set_message(FLETCH_FLIGHT_CANCEL_REQUEST, &info);
    damage(random, rounds);
    set_message(FLETCH_FLIGHT_SESSION_OPTIONS, &session);
    damage(random, rounds);
    set_message(FLETCH_FLIGHT_DESCRIPTOR, &path);
    damage(random, rounds);
    fletch_schema_release(schema);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    folder = argc > 3 ? argv[3] : NULL;
    struct fletch_random random = fletch_random_from_seed(strtoull(argv[1], NULL, 10));
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schemas[] = {schema_of_every_type(), schema_of_every_layout()};
    damage_messages(&random, rounds);
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        set_data(&random, &pool, schemas[i]);
        damage(&random, rounds);
        fletch_schema_release(schemas[i]);
    }
    test_pool_end(&pool);
    printf("seed %s, %s rounds for each of 6 messages\n", argv[1], argv[2]);
    return 0;
}
