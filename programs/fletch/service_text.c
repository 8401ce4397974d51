#include "service_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quantity.h"

/* More may come to it. */
static bool is_growing(const struct fletch_partition_report *partition)
{
    return partition->state == FLETCH_PARTITION_REGISTERED ||
           partition->state == FLETCH_PARTITION_PRODUCING;
}

/* It has rows that somebody is still to read. */
static bool is_behind(const struct fletch_partition_report *partition)
{
    return (is_growing(partition) || partition->state == FLETCH_PARTITION_COMPLETE) &&
           partition->rows > partition->rows_read;
}

struct service_waits service_waits_of(const struct fletch_shuffle_report *report)
{
    struct service_waits waits = {0};
    for (uint32_t i = 0; i < report->partition_count; i++) {
        const struct fletch_partition_report *partition = &report->partitions[i];
        waits.producers += partition->waiting_producers;
        if (is_behind(partition))
            waits.without_reader += !partition->has_reader;
        else if (partition->has_reader)
            waits.waiting_readers += is_growing(partition);
    }
    return waits;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static const char *verb(uint64_t count)
{
    return count == 1 ? "waits" : "wait";
}

void service_text_waits(struct text *text, const struct service_waits *waits)
{
    size_t begin = text->size;
    if (waits->producers > 0)
        text_print(text, "%" PRIu64 " producer%s %s for readers", waits->producers,
                   plural(waits->producers), verb(waits->producers));
    if (waits->without_reader > 0)
        text_print(text, "%s%" PRIu32 " partition%s %s for a reader",
                   text->size > begin ? ", " : "", waits->without_reader,
                   plural(waits->without_reader), verb(waits->without_reader));
    if (waits->waiting_readers > 0)
        text_print(text, "%s%" PRIu32 " reader%s %s for producers", text->size > begin ? ", " : "",
                   waits->waiting_readers, plural(waits->waiting_readers),
                   verb(waits->waiting_readers));
}

void service_text_partition_wait(struct text *text, const struct fletch_partition_report *partition)
{
    if (partition->waiting_producers > 0)
        text_print(text, "%" PRIu32 " producer%s %s for %s", partition->waiting_producers,
                   plural(partition->waiting_producers), verb(partition->waiting_producers),
                   partition->has_reader ? "its reader" : "a reader");
    else if (is_behind(partition) && !partition->has_reader)
        text_word(text, "waits for a reader");
    else if (!is_behind(partition) && partition->has_reader && is_growing(partition))
        text_word(text, "its reader waits for producers");
}

const char *service_partition_state(enum fletch_partition_state state)
{
    static const char *const words[] = {[FLETCH_PARTITION_REGISTERED] = "REGISTERED",
                                        [FLETCH_PARTITION_PRODUCING] = "PRODUCING",
                                        [FLETCH_PARTITION_COMPLETE] = "COMPLETE",
                                        [FLETCH_PARTITION_EMPTY] = "EMPTY",
                                        [FLETCH_PARTITION_CONSUMED] = "CONSUMED",
                                        [FLETCH_PARTITION_CANCELLED] = "CANCELLED",
                                        [FLETCH_PARTITION_LOST] = "LOST"};
    return (size_t)state < sizeof words / sizeof words[0] ? words[state] : "?";
}

const char *service_retention(enum fletch_retention retention)
{
    return retention == FLETCH_RETENTION_UNTIL_CLOSE ? "until_close" : "none";
}

const char *service_sums(enum fletch_sum_level sums)
{
    static const char *const words[] = {[FLETCH_SUMS_DEFAULT] = "keys",
                                        [FLETCH_SUMS_KEYS] = "keys",
                                        [FLETCH_SUMS_ROWS] = "rows",
                                        [FLETCH_SUMS_COUNTS] = "counts",
                                        [FLETCH_SUMS_OFF] = "off"};
    return (size_t)sums < sizeof words / sizeof words[0] ? words[sums] : "?";
}

/* ---- JSON ---- */

static void json_flag(struct text *text, const char *name, bool flag)
{
    text_json_key(text, name);
    text_word(text, flag ? "true" : "false");
}

static void json_name(struct text *text, const struct fletch_shuffle_report *report)
{
    struct text name = {0};
    text_bytes(&name, report->name.bytes, report->name.byte_count);
    text_json_key(text, "name");
    text_json(text, name.bytes, name.size);
    text->failed |= name.failed;
    text_end(&name);
}

static void json_keys(struct text *text, const struct fletch_shuffle_report *report)
{
    text_json_key(text, "keys");
    text_word(text, "[");
    for (size_t i = 0; i < report->key_count; i++) {
        text_word(text, i == 0 ? "" : ",");
        text_json(text, report->keys[i], strlen(report->keys[i]));
    }
    text_word(text, "]");
}

static void json_statistics(struct text *text, const struct fletch_exchange_statistics *all)
{
    const struct {
        const char *name;
        uint64_t number;
    } members[] = {{"rows_written", all->rows_written},
                   {"rows_sent", all->rows_sent},
                   {"rows_read", all->rows_read},
                   {"bytes_written", all->bytes_written},
                   {"bytes_sent", all->bytes_sent},
                   {"bytes_read", all->bytes_read},
                   {"bytes_queued", all->bytes_queued},
                   {"frames_spilled", all->frames_spilled},
                   {"bytes_spilled", all->bytes_spilled},
                   {"bytes_on_disk", all->bytes_on_disk},
                   {"bytes_charged", all->bytes_charged},
                   {"bytes_charged_peak", all->bytes_charged_peak},
                   {"budget_bytes", all->budget_bytes},
                   {"credit_waits", all->credit_waits},
                   {"credit_wait_ns", all->credit_wait_ns},
                   {"reader_waits", all->reader_waits},
                   {"reader_wait_ns", all->reader_wait_ns},
                   {"producers_open", all->producers_open},
                   {"producers_ended", all->producers_ended},
                   {"readers_open", all->readers_open},
                   {"partitions_ended", all->partitions_ended}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        text_json_number(text, members[i].name, members[i].number);
}

static void json_partitions(struct text *text, const struct fletch_shuffle_report *report)
{
    const struct service_waits waits = service_waits_of(report);
    text_json_number(text, "producers_waiting", waits.producers);
    text_json_number(text, "readers_waiting", waits.waiting_readers);
    text_json_number(text, "partitions_without_reader", waits.without_reader);
    text_json_key(text, "partition");
    text_word(text, "[");
    for (uint32_t i = 0; i < report->partition_count; i++) {
        const struct fletch_partition_report *partition = &report->partitions[i];
        text_word(text, i == 0 ? "{" : ",{");
        text_json_number(text, "number", i);
        text_json_member(text, "state", service_partition_state(partition->state));
        text_json_number(text, "rows", partition->rows);
        text_json_number(text, "bytes", partition->bytes);
        text_json_number(text, "frames", partition->frames);
        text_json_number(text, "bytes_queued", partition->bytes_queued);
        text_json_number(text, "rows_read", partition->rows_read);
        json_flag(text, "has_reader", partition->has_reader);
        text_json_number(text, "waiting_producers", partition->waiting_producers);
        text_word(text, "}");
    }
    text_word(text, "]");
}

void service_text_json(struct text *text, const struct fletch_shuffle_report *report)
{
    text_word(text, "{");
    json_name(text, report);
    text_json_key(text, "hash");
    text_print(text, "\"%" PRIu64 "\"", report->name_hash);
    text_json_member(text, "state", report->state);
    text_json_member(text, "method", report->method);
    json_keys(text, report);
    text_json_number(text, "partitions", report->partition_count);
    text_json_number(text, "producers", report->producers);
    text_json_number(text, "producer_limit", report->producer_limit);
    text_json_number(text, "producers_unverified", report->producers_unverified);
    json_flag(text, "is_open", report->is_open);
    text_json_member(text, "retention", service_retention(report->retention));
    text_json_member(text, "sums", service_sums(report->sums));
    json_statistics(text, &report->statistics);
    if (report->partitions != NULL)
        json_partitions(text, report);
    text_word(text, "}");
}

/* ---- order ---- */

int service_compare_names(const struct fletch_shuffle_name *one,
                          const struct fletch_shuffle_name *other)
{
    size_t least = one->byte_count < other->byte_count ? one->byte_count : other->byte_count;
    int order = memcmp(one->bytes, other->bytes, least);
    if (order != 0)
        return order;
    return one->byte_count < other->byte_count ? -1 : one->byte_count > other->byte_count;
}

static int compare_reports(const void *one, const void *other)
{
    const struct fletch_shuffle_report *const *a = one, *const *b = other;
    return service_compare_names(&(*a)->name, &(*b)->name);
}

void service_sort(const struct fletch_shuffle_reports *reports,
                  const struct fletch_shuffle_report **out_sorted)
{
    for (size_t i = 0; i < reports->count; i++)
        out_sorted[i] = &reports->reports[i];
    qsort(out_sorted, reports->count, sizeof *out_sorted, compare_reports);
}
