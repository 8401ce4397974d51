#include "unit/pump/pump_places.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/schemas.h"

static enum fletch_status exchange(void *user, struct fletch_flight_stream *stream,
                                   const struct fletch_flight_descriptor *descriptor,
                                   struct fletch_error *error)
{
    if (!fletch_pumps_is_command(descriptor))
        return FLETCH_INVALID_ARGUMENT;
    return fletch_pumps_serve(user, stream, error);
}

enum fletch_status place_try_start(struct place *place, const struct place_words *words,
                                   struct fletch_error *error)
{
    const struct fletch_transport_options transport = {
        .struct_size = sizeof transport,
        .budget_bytes = words->budget_bytes == 0 ? UINT64_C(256) << 20 : 4 * words->budget_bytes};
    const struct fletch_pumps_options pumps = {.reconnect_grace_ns = words->grace_ns,
                                               .connect_ns = words->connect_ns,
                                               .backoff_most_ns = words->backoff_most_ns,
                                               .compression = words->compression};
    memset(place, 0, sizeof *place);
    place->test.random = fletch_random_from_seed(11);
    place->test.schema = schema_new("k=l v=u");
    enum fletch_status status =
        fletch_transport_create(&transport, words->allocator, &place->test.transport, error);
    if (status == FLETCH_OK)
        status = fletch_pumps_acquire(place->test.transport, &pumps, &place->pumps, error);
    if (status == FLETCH_OK)
        status = fletch_buffer_cache_open(fletch_transport_pool(place->test.transport),
                                          &place->test.cache, error);
    return status;
}

void place_start(struct place *place, const struct place_words *words)
{
    const struct fletch_flight_handlers handlers = {.struct_size = sizeof handlers,
                                                    .do_exchange = exchange};
    struct fletch_error error;
    if (place_try_start(place, words, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const struct fletch_flight_server_options server = {
        .struct_size = sizeof server,
        .handlers = &handlers,
        .user = place->pumps,
        .run_mode = words->run_mode,
        .loop_count = 1,
        .pool = fletch_transport_pool(place->test.transport),
        .account = fletch_transport_account(place->test.transport)};
    if (fletch_flight_server_create(&server, &place->server, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

enum fletch_status place_try_register(struct place *place, const struct place_words *words,
                                      uint32_t self, const char *const *addresses,
                                      struct fletch_error *error)
{
    static const uint32_t key[] = {0};
    static const unsigned char id[FLETCH_SHUFFLE_ID_BYTES] = "a shuffle's id";
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = words->partitions,
                                                           .key_columns = key,
                                                           .key_column_count = 1};
    const struct fletch_placement placement = {.struct_size = sizeof placement,
                                               .addresses = addresses,
                                               .address_count = words->places,
                                               .self = self,
                                               .partition_owners = words->owners,
                                               .producer_homes = words->homes,
                                               .mode = words->mode};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "far",
                                                   .name_bytes = 3,
                                                   .schema = place->test.schema,
                                                   .partitioner = &partitioner,
                                                   .producer_count = words->producers,
                                                   .producer_limit = words->producer_limit,
                                                   .budget_bytes = words->budget_bytes,
                                                   .frame_bytes = words->frame_bytes,
                                                   .sums = words->sums,
                                                   .spill_directory = words->spill_directory,
                                                   .spill_after_ns = words->spill_after_ns,
                                                   .id = id,
                                                   .placement = &placement};
    place->test.partitions = words->partitions;
    enum fletch_status status = fletch_partitioner_create(place->test.schema, &partitioner, NULL,
                                                          &place->test.partitioner, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_shuffle_register(place->test.transport, &options, &place->test.shuffle, error);
}

void places_start(struct place *places, const struct place_words *words)
{
    const char *addresses[PLACES_MOST];
    struct fletch_error error;
    for (uint32_t i = 0; i < words->places; i++) {
        place_start(&places[i], words);
        addresses[i] = fletch_flight_server_location(places[i].server);
    }
    for (uint32_t i = 0; i < words->places; i++)
        if (place_try_register(&places[i], words, i, addresses, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
}

void place_end(struct place *place)
{
    if (place->test.shuffle != NULL)
        fletch_shuffle_close(place->test.shuffle);
    if (place->server != NULL) {
        fletch_pumps_end_served(place->pumps);
        fletch_flight_server_destroy(place->server);
    }
    fletch_pumps_release(place->pumps);
    test_shuffle_end(&place->test);
}
