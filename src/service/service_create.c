#include "service/service_create.h"

#include <inttypes.h>
#include <string.h>

#include <fletching/wait.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flight/flight_schema.h"
#include "grpc/grpc_text.h"

enum { OPEN_PRODUCERS_DEFAULT = 16 };

#define MS_NS UINT64_C(1000000)

/* What is wanted, from a body or from headers. */
struct wish {
    struct fletch_shuffle_name of;
    struct fletch_schema *with;
    uint32_t *columns; /* of the keys */
    struct fletch_service_body_name name;
    const char *schema;
    uint64_t partitions;
    const char *method;
    struct fletch_json_texts keys;
    const char *key_list; /* instead of `keys`: names, joined by commas */
    uint64_t seed;
    uint64_t producers;
    bool open;
    uint64_t producer_limit;
    const char *retention;
    const char *sums;
    uint64_t budget_bytes;
    uint64_t frame_bytes;
    bool strict_schema;
    uint64_t watermark_idle_ms;
    uint64_t barrier_limit;
    bool if_absent;
};

#define MEMBER(field, kind, most) \
    { \
#field, FLETCH_JSON_##kind, offsetof(struct wish, field), most \
    }
static const struct fletch_json_member members[] = {
    {"name", FLETCH_JSON_TEXT, offsetof(struct wish, name.name), 0},
    {"name_base64", FLETCH_JSON_TEXT, offsetof(struct wish, name.name_base64), 0},
    MEMBER(schema, TEXT, 0),
    MEMBER(partitions, NUMBER, UINT32_MAX),
    MEMBER(method, TEXT, 0),
    MEMBER(keys, TEXTS, 0),
    MEMBER(seed, NUMBER, 0),
    MEMBER(producers, NUMBER, UINT32_MAX),
    MEMBER(open, FLAG, 0),
    MEMBER(producer_limit, NUMBER, UINT32_MAX),
    MEMBER(retention, TEXT, 0),
    MEMBER(sums, TEXT, 0),
    MEMBER(budget_bytes, NUMBER, 0),
    MEMBER(frame_bytes, NUMBER, 0),
    MEMBER(strict_schema, FLAG, 0),
    MEMBER(watermark_idle_ms, NUMBER, UINT32_MAX),
    MEMBER(barrier_limit, NUMBER, UINT32_MAX),
    MEMBER(if_absent, FLAG, 0),
};
static const struct fletch_json_shape shape = {members, sizeof members / sizeof members[0]};

/* A word and the number that it stands for. */
struct word {
    const char *text;
    int value;
};
static const struct word methods[] = {
    {"hash", FLETCH_PARTITION_HASH},
    {"spark-murmur3", FLETCH_PARTITION_SPARK_MURMUR3},
    {"round-robin", FLETCH_PARTITION_ROUND_ROBIN},
    {"column", FLETCH_PARTITION_COLUMN},
    {"broadcast", FLETCH_PARTITION_BROADCAST},
    {NULL, 0},
};
static const struct word retentions[] = {
    {"none", FLETCH_RETENTION_NONE}, {"until_close", FLETCH_RETENTION_UNTIL_CLOSE}, {NULL, 0}};
static const struct word sum_levels[] = {{"keys", FLETCH_SUMS_KEYS},
                                         {"rows", FLETCH_SUMS_ROWS},
                                         {"counts", FLETCH_SUMS_COUNTS},
                                         {"off", FLETCH_SUMS_OFF},
                                         {NULL, 0}};

static enum fletch_status look_up(const struct word *words, const char *what, const char *text,
                                  int *out_value, struct fletch_error *error)
{
    for (; text != NULL && words->text != NULL; words++)
        if (strcmp(words->text, text) == 0) {
            *out_value = words->value;
            return FLETCH_OK;
        }
    if (text == NULL)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: %s '%.64s' is not known", what, text);
}

/* ---- names ---- */

static enum fletch_status refuse_name(size_t bytes, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: a name of %zu bytes, expected 1 to %u", bytes,
                            FLETCH_SHUFFLE_NAME_BYTES_MAX);
}

static enum fletch_status decode_name(struct fletch_service_body_name *body,
                                      struct fletch_shuffle_name *out_name,
                                      struct fletch_error *error)
{
    const size_t bytes = strlen(body->name_base64);
    size_t decoded = 0;
    if (bytes / 4 * 3 > sizeof body->decoded)
        return refuse_name(bytes / 4 * 3, error);
    if (!fletch_grpc_base64_decode(body->name_base64, bytes, body->decoded, &decoded))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: name_base64 is no base64");
    if (decoded == 0 || decoded > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return refuse_name(decoded, error);
    *out_name = (struct fletch_shuffle_name){body->decoded, decoded};
    return FLETCH_OK;
}

enum fletch_status fletch_service_body_name(struct fletch_service_body_name *body,
                                            struct fletch_shuffle_name *out_name,
                                            struct fletch_error *error)
{
    if ((body->name == NULL) == (body->name_base64 == NULL))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "INVALID_ARGUMENT: %s",
                                body->name == NULL ? "a 'name' was expected"
                                                   : "'name' and 'name_base64' are one too many");
    if (body->name == NULL)
        return decode_name(body, out_name, error);
    const size_t bytes = strlen(body->name);
    if (bytes == 0 || bytes > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return refuse_name(bytes, error);
    *out_name = (struct fletch_shuffle_name){body->name, bytes};
    return FLETCH_OK;
}

/* ---- columns ---- */

static enum fletch_status find_column(const struct fletch_schema *schema, const char *name,
                                      size_t bytes, uint32_t *out_column,
                                      struct fletch_error *error)
{
    size_t column = 0;
    const size_t count = fletch_schema_find_column(schema, name, bytes, &column);
    *out_column = (uint32_t)column;
    if (count == 1)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: %zu columns of the schema are named '%.*s', "
                            "expected one",
                            count, bytes > 64 ? 64 : (int)bytes, name);
}

static size_t count_keys(const struct wish *wish)
{
    if (wish->key_list == NULL)
        return wish->keys.count;
    size_t count = 1;
    for (const char *at = wish->key_list; *at != '\0'; at++)
        count += *at == ',';
    return count;
}

static enum fletch_status find_keys(const struct wish *wish, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (size_t i = 0; i < wish->keys.count && status == FLETCH_OK; i++) {
        const char *name = fletch_json_text_at(&wish->keys, i);
        status = find_column(wish->with, name, strlen(name), &wish->columns[i], error);
    }
    const char *at = wish->key_list;
    for (size_t i = 0; at != NULL && status == FLETCH_OK; i++) {
        const size_t bytes = strcspn(at, ",");
        status = find_column(wish->with, at, bytes, &wish->columns[i], error);
        at = at[bytes] == ',' ? at + bytes + 1 : NULL;
    }
    return status;
}

/* ---- limits ---- */

static enum fletch_status check_limit(const char *what, uint64_t found, uint64_t most,
                                      struct fletch_error *error)
{
    if (found <= most)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: %s: %" PRIu64 ", the limit of this server is "
                            "%" PRIu64,
                            what, found, most);
}

static enum fletch_status check_limits(const struct fletch_service *service,
                                       const struct wish *wish, struct fletch_error *error)
{
    const struct fletch_shuffle_server_options *options = &service->options;
    /* relaxed: a limit, which two at a time may pass by one */
    const uint64_t shuffles = load_relaxed(&service->transport->shuffle_count);
    enum fletch_status status = FLETCH_OK;
    if (options->creation == FLETCH_CREATION_OFF)
        status = fletch_error_set(error, FLETCH_PERMISSION_DENIED,
                                  "PERMISSION_DENIED: no shuffles are registered from outside");
    if (status == FLETCH_OK)
        status = check_limit("shuffles", shuffles + 1, options->shuffle_limit, error);
    if (status == FLETCH_OK)
        status = check_limit("partitions", wish->partitions, options->partition_limit, error);
    if (status == FLETCH_OK)
        status = check_limit("producers", wish->producers, options->producer_limit, error);
    if (status == FLETCH_OK)
        status =
            check_limit("producer_limit", wish->producer_limit, options->producer_limit, error);
    if (status == FLETCH_OK)
        status =
            check_limit("budget_bytes", wish->budget_bytes, options->budget_limit_bytes, error);
    if (status == FLETCH_OK && wish->open && wish->producers != 0)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "INVALID_ARGUMENT: 'producers' of an open set: 'producer_limit' "
                                  "was expected");
    return status;
}

/* ---- registering ---- */

/* An open set has one place more, which holds it open. */
static void set_producers(const struct wish *wish, struct fletch_shuffle_options *options)
{
    options->producer_count = (uint32_t)wish->producers;
    options->producer_limit = (uint32_t)wish->producer_limit;
    if (!wish->open)
        return;
    options->hold_open = 1;
    options->producer_count = 1;
    options->producer_limit =
        1 + (wish->producer_limit == 0 ? OPEN_PRODUCERS_DEFAULT : (uint32_t)wish->producer_limit);
}

static enum fletch_status set_words(const struct wish *wish,
                                    struct fletch_partitioner_options *partitioner,
                                    struct fletch_shuffle_options *options,
                                    struct fletch_error *error)
{
    int method = count_keys(wish) > 0 ? FLETCH_PARTITION_HASH : FLETCH_PARTITION_ROUND_ROBIN;
    int retention = FLETCH_RETENTION_NONE, sums = FLETCH_SUMS_DEFAULT;
    enum fletch_status status = look_up(methods, "method", wish->method, &method, error);
    if (status == FLETCH_OK)
        status = look_up(retentions, "retention", wish->retention, &retention, error);
    if (status == FLETCH_OK)
        status = look_up(sum_levels, "sums", wish->sums, &sums, error);
    partitioner->method = (enum fletch_partition_method)method;
    options->retention = (enum fletch_retention)retention;
    options->sums = (enum fletch_sum_level)sums;
    return status;
}

static enum fletch_status register_as(const struct fletch_service *service, const struct wish *wish,
                                      struct fletch_shuffle **out_shuffle,
                                      struct fletch_error *error)
{
    struct fletch_partitioner_options partitioner = {
        .struct_size = sizeof partitioner,
        .partition_count = (uint32_t)wish->partitions,
        .key_columns = wish->columns,
        .key_column_count = (uint32_t)count_keys(wish),
        .seed = wish->seed,
    };
    struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = wish->of.bytes,
        .name_bytes = wish->of.byte_count,
        .schema = wish->with,
        .partitioner = &partitioner,
        .budget_bytes =
            wish->budget_bytes == 0 ? service->options.budget_default_bytes : wish->budget_bytes,
        .frame_bytes = wish->frame_bytes,
        .spill_directory = service->options.spill_directory,
        .spill_codec = service->options.spill_codec,
        .strict_schema = wish->strict_schema,
        .watermark_idle_ns = wish->watermark_idle_ms * MS_NS,
        .barrier_limit = (uint32_t)wish->barrier_limit,
    };
    set_producers(wish, &options);
    enum fletch_status status = set_words(wish, &partitioner, &options, error);
    if (status == FLETCH_OK)
        status = find_keys(wish, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_register(service->transport, &options, out_shuffle, error);
    return status;
}

/* One that is there already, if it is like the one that is wanted. */
static enum fletch_status take_present(const struct fletch_service *service,
                                       const struct wish *wish, struct fletch_shuffle **out_shuffle,
                                       struct fletch_error *error)
{
    struct fletch_shuffle *found = NULL;
    struct fletch_error cause;
    enum fletch_status status = fletch_shuffle_find(service->transport, wish->of, 0, &found, error);
    if (status != FLETCH_OK)
        return status;
    const uint32_t count = fletch_shuffle_partition_count(found);
    if (wish->partitions != 0 && wish->partitions != count)
        status = fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                  "ALREADY_EXISTS: shuffle '%s' has %u partitions, %" PRIu64
                                  " were wanted",
                                  found->specification.shown.text, count, wish->partitions);
    else if (fletch_schema_compare(found->specification.schema, wish->with, FLETCH_COMPARE_FIELDS,
                                   &cause) != FLETCH_OK)
        status = fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                  "ALREADY_EXISTS: shuffle '%s' has another schema: %s",
                                  found->specification.shown.text, cause.message);
    if (status == FLETCH_OK)
        *out_shuffle = found;
    else
        fletch_shuffle_release(found);
    return status;
}

static enum fletch_status create(const struct fletch_service *service, struct wish *wish,
                                 struct fletch_shuffle **out_shuffle, struct fletch_error *error)
{
    enum fletch_status status = check_limits(service, wish, error);
    const size_t keys = count_keys(wish);
    if (status != FLETCH_OK)
        return status;
    wish->columns =
        fletch_block_allocate(&service->allocator, (keys + 1) * sizeof wish->columns[0]);
    if (wish->columns == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for %zu keys", keys);
    status = register_as(service, wish, out_shuffle, error);
    fletch_block_release(wish->columns);
    if (status == FLETCH_ALREADY_EXISTS && wish->if_absent)
        status = take_present(service, wish, out_shuffle, error);
    return status;
}

/* ---- by action ---- */

static enum fletch_status read_schema(const struct fletch_service *service, const char *text,
                                      struct fletch_schema **out_schema, struct fletch_error *error)
{
    if (text == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a 'schema' was expected");
    const size_t bytes = strlen(text);
    size_t decoded = 0;
    uint8_t *message = fletch_block_allocate(&service->allocator, bytes + 1);
    if (message == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a schema of %zu bytes", bytes);
    struct fletch_error cause;
    enum fletch_status status = FLETCH_OK;
    if (!fletch_grpc_base64_decode(text, bytes, message, &decoded))
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "INVALID_ARGUMENT: 'schema' is no base64");
    else if ((status = fletch_flight_schema_read((struct fletch_flight_bytes){message, decoded},
                                                 &service->allocator, out_schema, &cause)) !=
             FLETCH_OK)
        (void)fletch_error_set(error, status, "%s: 'schema' is no IPC message of one: %s",
                               fletch_status_name(status), cause.message);
    fletch_block_release(message);
    return status;
}

enum fletch_status fletch_service_create(const struct fletch_service *service,
                                         struct fletch_flight_bytes body,
                                         struct fletch_shuffle **out_shuffle,
                                         struct fletch_error *error)
{
    struct wish wish = {.partitions = 0};
    struct json_t *document = NULL;
    enum fletch_status status = fletch_json_read(body, &shape, &wish, &document, error);
    if (status == FLETCH_OK)
        status = fletch_service_body_name(&wish.name, &wish.of, error);
    if (status == FLETCH_OK)
        status = read_schema(service, wish.schema, &wish.with, error);
    if (status == FLETCH_OK)
        status = create(service, &wish, out_shuffle, error);
    fletch_schema_release(wish.with);
    fletch_json_release(document);
    return status;
}

/* ---- by a put ---- */

bool fletch_service_may_create(const struct fletch_service *service,
                               const struct fletch_flight_stream *stream)
{
    return service->options.creation == FLETCH_CREATION_BY_PUT &&
           fletch_flight_stream_header(stream, "fletch-partitions") != NULL;
}

/* What was received ends with NUL. */
static const char *text_header(const struct fletch_flight_stream *stream, const char *name)
{
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, name);
    return header == NULL ? NULL : header->value;
}

enum fletch_status fletch_service_create_by_put(const struct fletch_service *service,
                                                const struct fletch_service_first_put *put,
                                                struct fletch_shuffle **out_shuffle,
                                                struct fletch_error *error)
{
    const struct fletch_flight_stream *stream = put->stream;
    bool is_there = false;
    struct wish wish = {.of = put->name,
                        .with = put->schema,
                        .method = text_header(stream, "fletch-method"),
                        .key_list = text_header(stream, "fletch-keys"),
                        .retention = text_header(stream, "fletch-retention"),
                        .if_absent = true};
    enum fletch_status status =
        fletch_service_header(stream, "fletch-partitions", &wish.partitions, &is_there, error);
    if (status == FLETCH_OK)
        status =
            fletch_service_header(stream, "fletch-producers", &wish.producers, &is_there, error);
    return status == FLETCH_OK ? create(service, &wish, out_shuffle, error) : status;
}
