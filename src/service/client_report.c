#include "service/client_report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "grpc/grpc_text.h"
#include "service/service_report.h"
#include "shuffle/shuffle_name.h"

/* Lies behind the reports of an answer: text of a report is its document's. */
struct kept {
    json_t *document;
    void *block; /* keys, partitions, a name of any bytes, and how it is shown */
};

struct fletch_client_reports {
    json_t **documents;
    size_t count;
    size_t capacity;
};

/* What stands before the reports that users see. */
struct head {
    size_t count;
    struct kept *kept;
};

static enum fletch_status refuse_memory(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for reports");
}

/* ---- documents ---- */

struct fletch_client_reports *fletch_client_reports_start(void)
{
    struct fletch_client_reports *reports = fletch_block_allocate(NULL, sizeof *reports);
    if (reports != NULL)
        *reports = (struct fletch_client_reports){.documents = NULL};
    return reports;
}

static bool grow(struct fletch_client_reports *reports)
{
    const size_t capacity = reports->capacity == 0 ? 16 : reports->capacity * 2;
    json_t **documents = fletch_block_allocate(NULL, capacity * sizeof documents[0]);
    if (documents == NULL)
        return false;
    if (reports->documents != NULL) {
        memcpy(documents, reports->documents, reports->count * sizeof documents[0]);
        fletch_block_release(reports->documents);
    }
    reports->documents = documents;
    reports->capacity = capacity;
    return true;
}

enum fletch_status fletch_client_reports_add(struct fletch_client_reports *reports,
                                             struct fletch_flight_bytes answer,
                                             struct fletch_error *error)
{
    json_error_t cause;
    if (reports->count == reports->capacity && !grow(reports))
        return refuse_memory(error);
    json_t *document = json_loadb(answer.data, answer.bytes, JSON_REJECT_DUPLICATES, &cause);
    if (document == NULL || json_string_value(json_object_get(document, "state")) == NULL) {
        json_decref(document);
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: the server's answer is no report");
    }
    reports->documents[reports->count++] = document;
    return FLETCH_OK;
}

static void let_go(struct fletch_client_reports *reports)
{
    if (reports->documents != NULL)
        fletch_block_release(reports->documents);
    fletch_block_release(reports);
}

void fletch_client_reports_drop(struct fletch_client_reports *reports)
{
    for (size_t i = 0; i < reports->count; i++)
        json_decref(reports->documents[i]);
    let_go(reports);
}

/* ---- members; what is missing is zero or empty ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static uint64_t number_of(const json_t *object, const char *name)
{
    const json_int_t number = json_integer_value(json_object_get(object, name));
    return number < 0 ? 0 : (uint64_t)number;
}

static uint32_t place_of(const char *const *words, size_t count, const char *word)
{
    for (size_t i = count; i > 0; i--)
        if (strcmp(words[i - 1], word) == 0)
            return (uint32_t)i - 1;
    return 0;
}

static void read_statistics(const json_t *object, struct fletch_exchange_statistics *out)
{
    *out = (struct fletch_exchange_statistics){.struct_size = sizeof *out};
    for (size_t i = 0; i < fletch_service_statistic_count; i++) {
        const struct fletch_service_statistic *statistic = &fletch_service_statistics[i];
        char *at = (char *)out + statistic->offset;
        const uint64_t value = number_of(object, statistic->name);
        if (statistic->is_short)
            *(uint32_t *)(void *)at = (uint32_t)value;
        else
            *(uint64_t *)(void *)at = value;
    }
}

static enum fletch_partition_state state_of(const char *name)
{
    uint32_t state = FLETCH_PARTITION_REGISTERED;
    while (state < FLETCH_PARTITION_LOST &&
           strcmp(fletch_service_partition_state((enum fletch_partition_state)state), name) != 0)
        state++;
    return (enum fletch_partition_state)state;
}

static void read_partition(const json_t *object, struct fletch_partition_report *out)
{
    *out = (struct fletch_partition_report){
        .state = state_of(text_of(object, "state")),
        .rows = number_of(object, "rows"),
        .bytes = number_of(object, "bytes"),
        .frames = number_of(object, "frames"),
        .bytes_queued = number_of(object, "queued"),
        .rows_read = number_of(object, "read"),
        .has_reader = json_is_true(json_object_get(object, "reader")),
        .waiting_producers = (uint32_t)number_of(object, "waiting"),
    };
}

/* ---- reports ---- */

/* Memory of one report beside its document. */
struct side {
    struct fletch_name_text shown;
    uint8_t name[FLETCH_SHUFFLE_NAME_BYTES_MAX + 2];
};

static void read_name(const json_t *document, struct side *side,
                      struct fletch_shuffle_report *report)
{
    const char *name = text_of(document, "name");
    const char *encoded = text_of(document, "name_base64");
    const size_t bytes = strlen(encoded);
    size_t decoded = 0;
    report->name = (struct fletch_shuffle_name){name, strlen(name)};
    if (bytes > 0 && bytes / 4 * 3 <= sizeof side->name &&
        fletch_grpc_base64_decode(encoded, bytes, side->name, &decoded) &&
        decoded <= FLETCH_SHUFFLE_NAME_BYTES_MAX)
        report->name = (struct fletch_shuffle_name){side->name, decoded};
    side->shown =
        fletch_name_show(report->name.bytes, report->name.byte_count < FLETCH_SHUFFLE_NAME_BYTES_MAX
                                                 ? report->name.byte_count
                                                 : FLETCH_SHUFFLE_NAME_BYTES_MAX);
    report->shown = side->shown.text;
}

static bool read_report(json_t *document, struct fletch_shuffle_report *out, struct kept *kept)
{
    const json_t *keys = json_object_get(document, "keys");
    const json_t *partitions = json_object_get(document, "partition");
    const size_t key_count = json_array_size(keys), count = json_array_size(partitions);
    char *block =
        fletch_block_allocate(NULL, count * sizeof(struct fletch_partition_report) +
                                        key_count * sizeof(const char *) + sizeof(struct side));
    if (block == NULL)
        return false;
    struct fletch_partition_report *all = (struct fletch_partition_report *)(void *)block;
    const char **names = (const char **)(void *)(all + count);
    for (size_t i = 0; i < count; i++)
        read_partition(json_array_get(partitions, i), &all[i]);
    for (size_t i = 0; i < key_count; i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        names[i] = key == NULL ? "" : key;
    }
    *kept = (struct kept){document, block};
    *out = (struct fletch_shuffle_report){
        .name_hash = strtoull(text_of(document, "hash"), NULL, 10),
        .state = text_of(document, "state"),
        .method = text_of(document, "method"),
        .keys = names,
        .key_count = key_count,
        .partition_count = (uint32_t)number_of(document, "partitions"),
        .producers = (uint32_t)number_of(document, "producers"),
        .producer_limit = (uint32_t)number_of(document, "producer_limit"),
        .is_open = json_is_true(json_object_get(document, "open")),
        .retention = (enum fletch_retention)place_of(fletch_service_retentions, 2,
                                                     text_of(document, "retention")),
        .sums = (enum fletch_sum_level)place_of(fletch_service_sums, 5, text_of(document, "sums")),
        .partitions = count > 0 && count == number_of(document, "partitions") ? all : NULL,
    };
    read_name(document, (struct side *)(void *)(names + key_count), out);
    read_statistics(json_object_get(document, "statistics"), &out->statistics);
    out->producers_unverified = out->statistics.producers_unverified;
    return true;
}

static struct head *head_of(const struct fletch_shuffle_report *reports)
{
    return (struct head *)((uintptr_t)reports - sizeof(struct head));
}

static void release(struct head *head, size_t read_count)
{
    for (size_t i = 0; i < read_count; i++)
        fletch_block_release(head->kept[i].block);
    fletch_block_release(head->kept);
    fletch_block_release(head);
}

enum fletch_status fletch_client_reports_finish(struct fletch_client_reports *reports,
                                                struct fletch_shuffle_reports *out_reports,
                                                struct fletch_error *error)
{
    struct head *head = fletch_block_allocate(
        NULL, sizeof *head + (reports->count + 1) * sizeof(struct fletch_shuffle_report));
    if (head == NULL)
        return refuse_memory(error);
    head->count = reports->count;
    head->kept = fletch_block_allocate(NULL, (reports->count + 1) * sizeof head->kept[0]);
    if (head->kept == NULL) {
        fletch_block_release(head);
        return refuse_memory(error);
    }
    struct fletch_shuffle_report *all = (struct fletch_shuffle_report *)(void *)(head + 1);
    for (size_t i = 0; i < reports->count; i++)
        if (!read_report(reports->documents[i], &all[i], &head->kept[i])) {
            release(head, i);
            return refuse_memory(error);
        }
    *out_reports = (struct fletch_shuffle_reports){all, reports->count};
    let_go(reports);
    return FLETCH_OK;
}

void fletch_shuffle_reports_release(struct fletch_shuffle_reports reports)
{
    if (reports.reports == NULL)
        return;
    struct head *head = head_of(reports.reports);
    for (size_t i = 0; i < head->count; i++)
        json_decref(head->kept[i].document);
    release(head, head->count);
}
