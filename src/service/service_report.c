#include "service/service_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "arrow/schema.h"
#include "arrow/utf8.h"
#include "grpc/grpc_text.h"
#include "service/json_reader.h"
#include "shuffle/coordinator.h"

#define WIDE(field) \
    { \
#field, offsetof(struct fletch_exchange_statistics, field), false \
    }
#define SHORT(field) \
    { \
#field, offsetof(struct fletch_exchange_statistics, field), true \
    }
const struct fletch_service_statistic fletch_service_statistics[] = {
    WIDE(rows_written),          WIDE(rows_sent),          WIDE(rows_read),
    WIDE(bytes_written),         WIDE(bytes_sent),         WIDE(bytes_read),
    WIDE(frames_sent),           WIDE(frames_read),        WIDE(bytes_queued),
    WIDE(frames_accepted),       WIDE(rows_accepted),      WIDE(bytes_accepted),
    WIDE(frames_spilled),        WIDE(bytes_spilled),      WIDE(bytes_on_disk),
    WIDE(bytes_charged),         WIDE(bytes_charged_peak), WIDE(budget_bytes),
    WIDE(credit_waits),          WIDE(credit_wait_ns),     WIDE(reader_waits),
    WIDE(reader_wait_ns),        WIDE(watermarks_clamped), SHORT(producers_open),
    SHORT(producers_ended),      SHORT(readers_open),      SHORT(partitions_ended),
    SHORT(producers_unverified),
};
const size_t fletch_service_statistic_count =
    sizeof fletch_service_statistics / sizeof fletch_service_statistics[0];

const char *const fletch_service_retentions[2] = {"none", "until_close"};
const char *const fletch_service_sums[5] = {"keys", "keys", "rows", "counts", "off"};

/* ---- states ---- */

const char *fletch_service_partition_state(enum fletch_partition_state state)
{
    static const char *const names[] = {"REGISTERED", "PRODUCING", "COMPLETE", "EMPTY",
                                        "CONSUMED",   "CANCELLED", "LOST"};
    return names[state];
}

void fletch_service_state(const struct fletch_shuffle *shuffle,
                          char out_state[FLETCH_SERVICE_STATE_BYTES])
{
    const uint32_t outcome = load_acquire(&shuffle->outcome); /* shuffle E2 acquire */
    const char *reason = NULL;
    const char *name = outcome == FLETCH_OUTCOME_COMPLETE ? "COMPLETE" : "OPEN";
    if (outcome == FLETCH_OUTCOME_LOST) {
        name = "LOST";
        reason = shuffle->lost_reason;
    }
    if (fletch_shuffle_is_cancelled(shuffle)) {
        name = "CANCELLED";
        reason = shuffle->cancel_reason[0] == '\0' ? NULL : shuffle->cancel_reason;
    }
    (void)snprintf(out_state, FLETCH_SERVICE_STATE_BYTES, "%s%s%s", name,
                   reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
}

/* ---- JSON ---- */

/* Text of which a reason is a part may have been cut within a character. */
static json_t *text_of(const char *text)
{
    json_t *made = json_string(text);
    return made != NULL ? made : json_string_nocheck("?");
}

static json_t *keys_of(const struct fletch_shuffle *shuffle)
{
    const struct fletch_partitioner_options *partitioner = &shuffle->specification.partitioner;
    json_t *keys = json_array();
    for (uint32_t i = 0; i < partitioner->key_column_count; i++)
        (void)json_array_append_new(
            keys, text_of(fletch_schema_column_name(shuffle->specification.schema,
                                                    partitioner->key_columns[i], NULL)));
    return keys;
}

static json_t *statistics_of(struct fletch_shuffle *shuffle)
{
    struct fletch_exchange_statistics found = {.struct_size = sizeof found};
    json_t *statistics = json_object();
    fletch_shuffle_statistics(shuffle, &found);
    for (size_t i = 0; i < fletch_service_statistic_count; i++) {
        const struct fletch_service_statistic *statistic = &fletch_service_statistics[i];
        const char *at = (const char *)&found + statistic->offset;
        const uint64_t value = statistic->is_short ? *(const uint32_t *)(const void *)at
                                                   : *(const uint64_t *)(const void *)at;
        (void)json_object_set_new(statistics, statistic->name, json_integer((json_int_t)value));
    }
    return statistics;
}

static json_t *partition_of(struct fletch_shuffle *shuffle, uint32_t number)
{
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    if (fletch_shuffle_partition_statistics(shuffle, number, &found, NULL) != FLETCH_OK)
        return json_null();
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:i}", "state",
                     fletch_service_partition_state(found.state), "rows", (json_int_t)found.rows,
                     "bytes", (json_int_t)found.bytes, "frames", (json_int_t)found.frames, "queued",
                     (json_int_t)found.bytes_queued, "read", (json_int_t)found.rows_read, "reader",
                     (int)found.has_reader, "waiting", (int)found.waiting_producers);
}

/* Names that are no text go in base64. */
static void set_name(json_t *report, const struct fletch_shuffle_specification *specification)
{
    char text[FLETCH_GRPC_BASE64_BYTES(FLETCH_SHUFFLE_NAME_BYTES_MAX) + 1];
    json_t *name = memchr(specification->name, '\0', specification->name_bytes) != NULL
                       ? NULL
                       : json_stringn(specification->name, specification->name_bytes);
    if (name != NULL) {
        (void)json_object_set_new(report, "name", name);
        return;
    }
    const size_t bytes = fletch_grpc_base64_encode((const uint8_t *)specification->name,
                                                   specification->name_bytes, text);
    (void)json_object_set_new(report, "name_base64", json_stringn(text, bytes));
}

static void set_producers(json_t *report, const struct fletch_shuffle *shuffle)
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    const uint32_t held = specification->hold_open ? 1 : 0;
    struct fletch_coordinator_statistics control;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    /* relaxed: a statistic */
    const bool is_sealed = load_relaxed(&shuffle->is_sealed) != 0;
    (void)json_object_set_new(report, "producers",
                              json_integer((json_int_t)control.producers - held));
    (void)json_object_set_new(report, "producer_limit",
                              json_integer((json_int_t)specification->producer_limit - held));
    (void)json_object_set_new(
        report, "open",
        json_boolean(specification->producer_limit > specification->producer_count && !is_sealed));
}

static const char *method_of(const struct fletch_shuffle_specification *specification)
{
    static const char *const names[] = {"hash",        "spark-murmur3", "range",
                                        "round-robin", "column",        "broadcast"};
    return names[specification->partitioner.method];
}

char *fletch_service_report(struct fletch_shuffle *shuffle, bool with_partitions)
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    const uint32_t count = specification->partitioner.partition_count;
    char state[FLETCH_SERVICE_STATE_BYTES], hash[24];
    json_t *report = json_object();
    set_name(report, specification);
    (void)snprintf(hash, sizeof hash, "%llu", (unsigned long long)shuffle->name_hash);
    (void)json_object_set_new(report, "hash", json_string(hash));
    fletch_service_state(shuffle, state);
    (void)json_object_set_new(report, "state", text_of(state));
    (void)json_object_set_new(report, "method", json_string(method_of(specification)));
    (void)json_object_set_new(report, "keys", keys_of(shuffle));
    (void)json_object_set_new(report, "partitions", json_integer(count));
    set_producers(report, shuffle);
    (void)json_object_set_new(report, "retention",
                              json_string(fletch_service_retentions[specification->retention]));
    (void)json_object_set_new(report, "sums",
                              json_string(fletch_service_sums[specification->sums]));
    (void)json_object_set_new(report, "statistics", statistics_of(shuffle));
    json_t *partitions = with_partitions ? json_array() : NULL;
    for (uint32_t p = 0; with_partitions && p < count; p++)
        (void)json_array_append_new(partitions, partition_of(shuffle, p));
    if (with_partitions)
        (void)json_object_set_new(report, "partition", partitions);
    char *text = fletch_json_write(report);
    json_decref(report);
    return text;
}
