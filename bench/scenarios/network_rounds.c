/* Shuffles between processes, as one of those processes: called from network_end.py. Each has a
 * transport, a server and a client; which partitions and producers are its own, it is told. */

#include <fletching/fletching.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_EXPORT __attribute__((visibility("default")))

enum { PROCESSES_MAX = 8, MESSAGE_BYTES = 512 };

struct network {
    struct fletch_transport *transport;
    struct fletch_shuffle_server *server;
    struct fletch_shuffle_client *client;
    struct fletch_buffer_cache *cache; /* of the calling thread */
    struct fletch_schema *schema;
    struct fletch_batch **batches;
    size_t batch_count;
    struct fletch_shuffle *shuffle;
    char message[MESSAGE_BYTES];
};

/* Where a shuffle is: its owners, of which partition p has number p mod count. */
struct network_plan {
    uint32_t round; /* part of its identity: no two are alike */
    uint32_t partitions;
    uint32_t producers;
    uint32_t self; /* FLETCH_NO_PROCESS: it only writes */
    uint32_t owner_count;
    const char *owners[PROCESSES_MAX];
};

struct network_figures {
    uint64_t rows;
    uint64_t bytes_crossed; /* of the bodies of frames */
    uint64_t charged_peak;
    uint64_t finished_ns; /* when the last end came */
    uint32_t ended;       /* partitions whose end was verified */
};

ROUNDS_EXPORT struct network *network_open(struct ArrowSchema *schema, uint64_t budget_bytes);
ROUNDS_EXPORT uint32_t network_port(const struct network *network);
ROUNDS_EXPORT int network_add(struct network *network, struct ArrowArray *array);
ROUNDS_EXPORT int network_join(struct network *network, const struct network_plan *plan);
ROUNDS_EXPORT int network_write(struct network *network, uint32_t first, uint32_t count,
                                struct network_figures *figures);
ROUNDS_EXPORT int network_read(struct network *network, uint32_t self, uint32_t owners,
                               struct network_figures *figures);
ROUNDS_EXPORT int network_send_stamps(struct network *network, uint64_t count, uint64_t gap_ns);
ROUNDS_EXPORT int network_take_stamps(struct network *network, uint64_t count, uint64_t *ages);
ROUNDS_EXPORT void network_leave(struct network *network);
ROUNDS_EXPORT int network_registry(struct network *network, uint32_t shuffles, uint32_t partitions,
                                   double *seconds);
ROUNDS_EXPORT const char *network_message(const struct network *network);

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int failed(struct network *network, const char *what, const struct fletch_error *error)
{
    snprintf(network->message, sizeof network->message, "%s: %s", what, error->message);
    return -1;
}

/* ---- a process ---- */

struct network *network_open(struct ArrowSchema *schema, uint64_t budget_bytes)
{
    const struct fletch_transport_options transport = {.struct_size = sizeof transport,
                                                       .budget_bytes = budget_bytes};
    const struct fletch_shuffle_server_options server = {
        .struct_size = sizeof server, .loop_count = 1, .creation = FLETCH_CREATION_BY_PUT};
    struct network *network = calloc(1, sizeof *network);
    struct fletch_error error = {0};
    if (network == NULL ||
        fletch_transport_create(&transport, NULL, &network->transport, &error) != FLETCH_OK ||
        fletch_shuffle_server_create(network->transport, &server, &network->server, &error) !=
            FLETCH_OK)
        goto no_process;
    const struct fletch_shuffle_client_options client = {
        .struct_size = sizeof client,
        .loop_count = 1,
        .location = fletch_shuffle_server_location(network->server)};
    if (fletch_shuffle_client_create(network->transport, &client, &network->client, &error) ==
            FLETCH_OK &&
        fletch_buffer_cache_open(fletch_transport_pool(network->transport), &network->cache,
                                 &error) == FLETCH_OK &&
        fletch_schema_import(schema, NULL, &network->schema, &error) == FLETCH_OK)
        return network;
no_process:
    fprintf(stderr, "%s\n", error.message);
    return NULL;
}

uint32_t network_port(const struct network *network)
{
    return fletch_shuffle_server_port(network->server);
}

int network_add(struct network *network, struct ArrowArray *array)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = network->cache};
    struct fletch_error error;
    struct fletch_batch *batch;
    if (fletch_batch_import(array, network->schema, &options, &batch, &error) != FLETCH_OK)
        return failed(network, "a batch", &error);
    network->batches =
        realloc(network->batches, (network->batch_count + 1) * sizeof(struct fletch_batch *));
    if (network->batches == NULL)
        abort();
    network->batches[network->batch_count++] = batch;
    return 0;
}

const char *network_message(const struct network *network)
{
    return network->message;
}

int network_join(struct network *network, const struct network_plan *plan)
{
    static const uint32_t key = 0;
    unsigned char id[FLETCH_SHUFFLE_ID_BYTES] = {0};
    char name[32];
    struct fletch_error error;
    memcpy(id, &plan->round, sizeof plan->round);
    const int name_bytes = snprintf(name, sizeof name, "round %u", plan->round);
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = plan->partitions,
                                                           .key_columns = &key,
                                                           .key_column_count = 1};
    const struct fletch_placement placement = {.struct_size = sizeof placement,
                                               .addresses = plan->owners,
                                               .address_count = plan->owner_count,
                                               .self = plan->self};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = name,
                                                   .name_bytes = (size_t)name_bytes,
                                                   .schema = network->schema,
                                                   .partitioner = &partitioner,
                                                   .producer_count = plan->producers,
                                                   .id = id,
                                                   .placement = &placement};
    if (fletch_shuffle_register(network->transport, &options, &network->shuffle, &error) !=
        FLETCH_OK)
        return failed(network, "registration", &error);
    return 0;
}

void network_leave(struct network *network)
{
    fletch_shuffle_close(network->shuffle);
    fletch_shuffle_release(network->shuffle);
    network->shuffle = NULL;
}

static void gather(struct network *network, struct network_figures *figures)
{
    struct fletch_exchange_statistics told = {.struct_size = sizeof told};
    fletch_shuffle_statistics(network->shuffle, &told);
    figures->bytes_crossed = told.bytes_sent;
    figures->charged_peak = told.bytes_charged_peak;
}

/* ---- producers ---- */

struct producer {
    struct network *network;
    pthread_t thread;
    uint32_t number;
    uint32_t first, count; /* of all that are here: which batches are its own */
    uint64_t rows;
    struct fletch_error error;
    enum fletch_status status;
};

static enum fletch_status write_all(struct producer *producer, struct fletch_shuffle_writer *writer)
{
    const struct network *network = producer->network;
    for (size_t i = producer->first; i < network->batch_count; i += producer->count) {
        enum fletch_status status = fletch_shuffle_writer_write(
            writer, network->batches[i], FLETCH_DEADLINE_DEFAULT, &producer->error);
        if (status != FLETCH_OK)
            return status;
        producer->rows += (uint64_t)fletch_batch_row_count(network->batches[i]);
    }
    return fletch_shuffle_writer_end(writer, FLETCH_DEADLINE_DEFAULT, &producer->error);
}

static void *produce(void *argument)
{
    struct producer *producer = argument;
    struct network *network = producer->network;
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_shuffle_writer *writer = NULL;
    producer->status = fletch_buffer_cache_open(fletch_transport_pool(network->transport), &cache,
                                                &producer->error);
    if (producer->status == FLETCH_OK)
        producer->status = fletch_shuffle_writer_open(network->shuffle, producer->number, cache,
                                                      &writer, &producer->error);
    if (producer->status == FLETCH_OK)
        producer->status = write_all(producer, writer);
    fletch_shuffle_writer_close(writer);
    fletch_buffer_cache_close(cache);
    return NULL;
}

/* Producers first … first + count - 1, a thread each, write all batches and end. */
int network_write(struct network *network, uint32_t first, uint32_t count,
                  struct network_figures *figures)
{
    struct producer *producers = calloc(count, sizeof *producers);
    int result = 0;
    memset(figures, 0, sizeof *figures);
    if (producers == NULL)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        producers[i] =
            (struct producer){.network = network, .number = first + i, .first = i, .count = count};
        if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0)
            abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(producers[i].thread, NULL);
        figures->rows += producers[i].rows;
        if (producers[i].status != FLETCH_OK)
            result = failed(network, "a producer", &producers[i].error);
    }
    gather(network, figures);
    free(producers);
    return result;
}

/* ---- a consumer ---- */

/* What it was given, which stays in its memory. */
struct kept {
    struct fletch_batch **batches;
    size_t count, room;
};

static void keep(struct kept *kept, struct fletch_batch *batch)
{
    if (kept->count == kept->room) {
        kept->room = kept->room == 0 ? 1024 : 2 * kept->room;
        kept->batches = realloc(kept->batches, kept->room * sizeof(struct fletch_batch *));
        if (kept->batches == NULL)
            abort();
    }
    kept->batches[kept->count++] = batch;
}

static enum fletch_status open_reader(struct network *network, uint32_t self, uint32_t owners,
                                      struct fletch_shuffle_reader **reader,
                                      struct fletch_error *error)
{
    const uint32_t partitions = fletch_shuffle_partition_count(network->shuffle);
    uint32_t count = 0;
    uint32_t *mine = malloc(partitions * sizeof *mine);
    if (mine == NULL)
        abort();
    for (uint32_t i = self; i < partitions; i += owners)
        mine[count++] = i;
    const struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                          .partitions = mine,
                                                          .partition_count = count,
                                                          .cache = network->cache};
    enum fletch_status status =
        fletch_shuffle_reader_open(network->shuffle, &options, reader, error);
    free(mine);
    return status;
}

/* Reads all partitions of this process to their ends and keeps what comes. */
int network_read(struct network *network, uint32_t self, uint32_t owners,
                 struct network_figures *figures)
{
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    struct kept kept = {0};
    memset(figures, 0, sizeof *figures);
    enum fletch_status status = open_reader(network, self, owners, &reader, &error);
    for (bool has_event = true; status == FLETCH_OK && has_event;) {
        struct fletch_shuffle_event event;
        status =
            fletch_shuffle_reader_next(reader, FLETCH_DEADLINE_DEFAULT, &event, &has_event, &error);
        if (status != FLETCH_OK || !has_event)
            break;
        if (event.kind == FLETCH_EVENT_BATCH) {
            figures->rows += event.rows;
            keep(&kept, event.batch);
        } else if (event.kind == FLETCH_EVENT_END) {
            figures->ended += event.verified == FLETCH_SUMS_KEYS;
        }
    }
    figures->finished_ns = now_ns();
    gather(network, figures);
    for (size_t i = 0; i < kept.count; i++)
        fletch_batch_release(network->cache, kept.batches[i]);
    free(kept.batches);
    fletch_shuffle_reader_close(reader);
    return status == FLETCH_OK ? 0 : failed(network, "the consumer", &error);
}

/* ---- batches of one row ---- */

static void release_stamp(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

struct stamp {
    uint64_t time;
    const void *buffers[2];
    const void *no_buffers[1];
    struct ArrowArray column;
    struct ArrowArray *columns[1];
};

static void release_column(struct ArrowArray *array)
{
    array->release = NULL;
}

static struct fletch_batch *make_stamp(struct network *network)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = network->cache};
    struct fletch_batch *batch;
    struct fletch_error error;
    struct stamp *stamp = calloc(1, sizeof *stamp);
    if (stamp == NULL)
        abort();
    stamp->time = now_ns();
    stamp->buffers[1] = &stamp->time;
    stamp->columns[0] = &stamp->column;
    stamp->column = (struct ArrowArray){
        .length = 1, .n_buffers = 2, .buffers = stamp->buffers, .release = release_column};
    struct ArrowArray array = {.length = 1,
                               .n_buffers = 1,
                               .n_children = 1,
                               .buffers = stamp->no_buffers,
                               .children = stamp->columns,
                               .release = release_stamp,
                               .private_data = stamp};
    if (fletch_batch_import(&array, network->schema, &options, &batch, &error) != FLETCH_OK)
        return NULL;
    return batch;
}

static void wait_until(uint64_t at)
{
    const struct timespec time = {.tv_sec = (time_t)(at / 1000000000u),
                                  .tv_nsec = (long)(at % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0)
        continue;
}

/* Producer 0 puts `count` batches of one row, which is when it was made, one each `gap_ns`. */
int network_send_stamps(struct network *network, uint64_t count, uint64_t gap_ns)
{
    struct fletch_shuffle_writer *writer;
    struct fletch_error error;
    enum fletch_status status =
        fletch_shuffle_writer_open(network->shuffle, 0, network->cache, &writer, &error);
    const uint64_t start = now_ns();
    for (uint64_t i = 0; status == FLETCH_OK && i < count; i++) {
        if (gap_ns > 0)
            wait_until(start + i * gap_ns);
        struct fletch_batch *batch = make_stamp(network);
        if (batch == NULL)
            abort();
        status = fletch_shuffle_writer_put(writer, 0, batch, FLETCH_DEADLINE_DEFAULT, &error);
        fletch_batch_release(network->cache, batch);
    }
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_end(writer, FLETCH_DEADLINE_DEFAULT, &error);
    if (status != FLETCH_OK)
        failed(network, "the producer", &error);
    fletch_shuffle_writer_close(writer);
    return status == FLETCH_OK ? 0 : -1;
}

static uint64_t stamp_age(struct network *network, struct fletch_batch *batch)
{
    struct ArrowArray array;
    const uint64_t now = now_ns();
    if (fletch_batch_export(batch, network->cache, &array, NULL) != FLETCH_OK)
        abort();
    const uint64_t *stamps = array.children[0]->buffers[1];
    const uint64_t age = now - stamps[array.children[0]->offset];
    array.release(&array);
    fletch_batch_release(network->cache, batch);
    return age;
}

/* How old each of them was when it came, in nanoseconds, until the end. */
int network_take_stamps(struct network *network, uint64_t count, uint64_t *ages)
{
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    uint64_t came = 0;
    enum fletch_status status = open_reader(network, 0, 1, &reader, &error);
    for (bool has_event = true; status == FLETCH_OK && has_event;) {
        struct fletch_shuffle_event event;
        status =
            fletch_shuffle_reader_next(reader, FLETCH_DEADLINE_DEFAULT, &event, &has_event, &error);
        if (status == FLETCH_OK && has_event && event.kind == FLETCH_EVENT_BATCH && came < count)
            ages[came++] = stamp_age(network, event.batch);
    }
    fletch_shuffle_reader_close(reader);
    if (status != FLETCH_OK)
        return failed(network, "the consumer", &error);
    snprintf(network->message, sizeof network->message, "%llu batches came",
             (unsigned long long)came);
    return came == count ? 0 : -1;
}

/* ---- many shuffles ---- */

static struct fletch_shuffle_name name_of(char *text, size_t room, uint32_t number)
{
    const int bytes = snprintf(text, room, "shuffle %u", number);
    return (struct fletch_shuffle_name){text, (size_t)bytes};
}

static uint32_t mixed(uint32_t i, uint32_t count)
{
    return (uint32_t)((uint64_t)i * 7919u % count); /* a prime: each once */
}

static int register_many(struct network *network, uint32_t count, uint32_t partitions,
                         struct fletch_shuffle **shuffles)
{
    static const uint32_t key = 0;
    struct fletch_error error;
    char text[32];
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = partitions,
                                                           .key_columns = &key,
                                                           .key_column_count = 1};
    for (uint32_t i = 0; i < count; i++) {
        const struct fletch_shuffle_name name = name_of(text, sizeof text, i);
        const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                       .name = name.bytes,
                                                       .name_bytes = name.byte_count,
                                                       .schema = network->schema,
                                                       .partitioner = &partitioner,
                                                       .budget_bytes = UINT64_C(1) << 20};
        if (fletch_shuffle_register(network->transport, &options, &shuffles[i], &error) !=
            FLETCH_OK)
            return failed(network, "registration", &error);
    }
    return 0;
}

static int find_many(struct network *network, uint32_t count)
{
    struct fletch_error error;
    struct fletch_shuffle *found;
    char text[32];
    for (uint32_t i = 0; i < count; i++) {
        const struct fletch_shuffle_name name = name_of(text, sizeof text, mixed(i, count));
        if (fletch_shuffle_find(network->transport, name, 0, &found, &error) != FLETCH_OK)
            return failed(network, "look-up", &error);
        fletch_shuffle_release(found);
    }
    return 0;
}

/* The store's own: as many entries as there are partitions, then as many look-ups as shuffles,
 * each of which formats a name and hashes it as above. */
static int store_many(struct network *network, uint32_t count, uint32_t partitions, double *seconds)
{
    const struct fletch_partition_store_options options = {.struct_size = sizeof options};
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
    struct fletch_store_value *value;
    struct fletch_error error;
    char text[32];
    if (fletch_epoch_domain_create(NULL, NULL, &domain, &error) != FLETCH_OK ||
        fletch_epoch_reader_open(domain, &reader, &error) != FLETCH_OK ||
        fletch_partition_store_create(domain, &options, NULL, &store, &error) != FLETCH_OK)
        return failed(network, "the store", &error);
    uint64_t start = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t hash = fletch_shuffle_name_hash(name_of(text, sizeof text, i));
        for (uint32_t p = 0; p < partitions; p++) {
            const struct fletch_store_key key = {hash, p, 0};
            if (fletch_partition_store_value_create(store, reader, 64, &value, &error) !=
                    FLETCH_OK ||
                fletch_partition_store_insert(store, reader, &key, value, &error) != FLETCH_OK)
                return failed(network, "the store", &error);
        }
    }
    seconds[2] = (double)(now_ns() - start) * 1e-9;
    start = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        const struct fletch_store_key key = {
            fletch_shuffle_name_hash(name_of(text, sizeof text, mixed(i, count))), 0, 0};
        value = fletch_partition_store_get(store, reader, &key);
        if (value == NULL)
            abort();
        fletch_store_value_release(store, reader, value);
    }
    seconds[3] = (double)(now_ns() - start) * 1e-9;
    fletch_partition_store_destroy(store);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    return 0;
}

/* Seconds of all registrations, of as many look-ups in mixed order, and of both in the store. They
 * stay registered: the process ends after this. */
int network_registry(struct network *network, uint32_t shuffles, uint32_t partitions,
                     double *seconds)
{
    struct fletch_shuffle **registered = calloc(shuffles, sizeof(struct fletch_shuffle *));
    if (registered == NULL)
        abort();
    uint64_t start = now_ns();
    int result = register_many(network, shuffles, partitions, registered);
    seconds[0] = (double)(now_ns() - start) * 1e-9;
    start = now_ns();
    if (result == 0)
        result = find_many(network, shuffles);
    seconds[1] = (double)(now_ns() - start) * 1e-9;
    return result == 0 ? store_many(network, shuffles, partitions, seconds) : result;
}
