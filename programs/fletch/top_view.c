#include "top_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quantity.h"

enum {
    HEAD_LINES = 4,      /* above the shuffles */
    PARTITIONS_ANY = 20, /* that are shown where the height is not limited */
    PARTITION_HEAD = 2,  /* a blank line and a line of names */
    SHUFFLES_LEAST = 3   /* that partitions leave room for */
};

/* Lines in the making: `line` is appended to `text` cut to the width. */
struct lines {
    struct text *text;
    struct text line;
    size_t width;
    size_t left; /* lines that there is room for */
};

/* Bytes of the first `width` characters. */
static size_t cut(const char *bytes, size_t size, size_t width)
{
    size_t at = 0;
    for (size_t characters = 0; at < size; at++) {
        bool is_first = ((unsigned char)bytes[at] & 0xC0) != 0x80;
        if (is_first && characters++ == width)
            break;
    }
    return at;
}

static void end_line(struct lines *lines)
{
    struct text *line = &lines->line;
    size_t size = lines->width == 0 ? line->size : cut(line->bytes, line->size, lines->width);
    while (size > 0 && line->bytes[size - 1] == ' ')
        size--;
    if (lines->left > 0) {
        text_append(lines->text, line->bytes, size);
        text_word(lines->text, "\n");
        lines->left--;
    }
    lines->text->failed |= line->failed;
    line->size = 0;
}

struct time_words {
    char text[16];
};

static struct time_words time_of_day(void)
{
    struct time_words words;
    struct tm parts;
    time_t now = time(NULL);
    localtime_r(&now, &parts);
    strftime(words.text, sizeof words.text, "%H:%M:%S", &parts);
    return words;
}

static void add_head(struct lines *lines, const struct top_view *view,
                     const struct top_sample *sample)
{
    struct text *line = &lines->line;
    text_print(line, "fletch top  %s  %s  %zu shuffle%s  memory %s  queued %s  disk %s",
               view->location, time_of_day().text, sample->count, sample->count == 1 ? "" : "s",
               quantity_bytes(sample->bytes_charged).text,
               quantity_bytes(sample->bytes_queued).text,
               quantity_bytes(sample->bytes_on_disk).text);
    end_line(lines);
    if (view->trouble != NULL) {
        text_print(line, "no news: %s", view->trouble);
    } else {
        text_print(line, "in %s rows/s, %s/s  out %s rows/s, %s/s",
                   quantity_count((uint64_t)sample->rates.rows_in).text,
                   quantity_bytes((uint64_t)sample->rates.bytes_in).text,
                   quantity_count((uint64_t)sample->rates.rows_out).text,
                   quantity_bytes((uint64_t)sample->rates.bytes_out).text);
        text_word(line, "  ");
        service_text_waits(line, &sample->waits);
    }
    end_line(lines);
    end_line(lines);
}

static void add_shuffle(struct lines *lines, const struct top_shuffle *shuffle, bool is_marked)
{
    const struct fletch_shuffle_report *report = shuffle->report;
    const struct fletch_exchange_statistics *now = &report->statistics;
    struct text *line = &lines->line;
    char producers[32];
    int state = (int)strcspn(report->state, ":");
    snprintf(producers, sizeof producers, "%" PRIu32 "/%" PRIu32 "%s", now->producers_ended,
             report->producers, report->is_open ? "+" : "");
    text_print(line, "%c %-9.*s %5" PRIu32 " %9s %12s %12s %8s %8s %8s %8s  ",
               is_marked ? '>' : ' ', state, report->state, report->partition_count, producers,
               quantity_count((uint64_t)shuffle->rates.rows_in).text,
               quantity_count((uint64_t)shuffle->rates.rows_out).text,
               quantity_bytes((uint64_t)shuffle->rates.bytes_in).text,
               quantity_bytes((uint64_t)shuffle->rates.bytes_out).text,
               quantity_bytes(now->bytes_queued).text, quantity_bytes(now->bytes_on_disk).text);
    text_bytes(line, report->name.bytes, report->name.byte_count);
    text_word(line, "  ");
    service_text_waits(line, &shuffle->waits);
    end_line(lines);
}

/* ---- partitions ---- */

static const struct fletch_partition_report *sorted_partitions; /* of the sort that runs */

/* Those that are waited for first, then those with most to read. */
static int compare_partitions(const void *one, const void *other)
{
    uint32_t number = *(const uint32_t *)one, other_number = *(const uint32_t *)other;
    const struct fletch_partition_report *a = &sorted_partitions[number];
    const struct fletch_partition_report *b = &sorted_partitions[other_number];
    if (a->waiting_producers != b->waiting_producers)
        return a->waiting_producers > b->waiting_producers ? -1 : 1;
    if (a->bytes_queued != b->bytes_queued)
        return a->bytes_queued > b->bytes_queued ? -1 : 1;
    return number < other_number ? -1 : 1;
}

static void add_partition(struct lines *lines, uint32_t number,
                          const struct fletch_partition_report *partition)
{
    struct text *line = &lines->line;
    text_print(line, "%11" PRIu32 " %-10s %15s %15s %8s  ", number,
               service_partition_state(partition->state), quantity_count(partition->rows).text,
               quantity_count(partition->rows_read).text,
               quantity_bytes(partition->bytes_queued).text);
    service_text_partition_wait(line, partition);
    end_line(lines);
}

static void add_partitions(struct lines *lines, const struct fletch_shuffle_report *report)
{
    uint32_t *numbers = calloc((size_t)report->partition_count + 1, sizeof *numbers);
    if (numbers == NULL) {
        lines->text->failed = true;
        return;
    }
    for (uint32_t i = 0; i < report->partition_count; i++)
        numbers[i] = i;
    sorted_partitions = report->partitions;
    qsort(numbers, report->partition_count, sizeof *numbers, compare_partitions);
    end_line(lines);
    text_print(&lines->line, "%11s %-10s %15s %15s %8s  of ", "partition", "state", "rows", "read",
               "queued");
    text_bytes(&lines->line, report->name.bytes, report->name.byte_count);
    end_line(lines);
    size_t room = lines->left > PARTITIONS_ANY && lines->width == 0 ? PARTITIONS_ANY : lines->left;
    for (uint32_t i = 0; i < report->partition_count && i < room; i++) {
        bool is_last = i + 1 == room && room < report->partition_count;
        if (is_last) {
            text_print(&lines->line, "%11s and %" PRIu32 " others", "...",
                       report->partition_count - i);
            end_line(lines);
        } else {
            add_partition(lines, numbers[i], &report->partitions[numbers[i]]);
        }
    }
    free(numbers);
}

/* Lines for shuffles: partitions get what those leave, and at least a half. */
static size_t shuffle_room(const struct top_view *view, const struct top_sample *sample,
                           bool has_partitions)
{
    if (view->height == 0)
        return sample->count;
    size_t room = view->height > HEAD_LINES ? view->height - HEAD_LINES : 0;
    if (!has_partitions || room < SHUFFLES_LEAST + PARTITION_HEAD + 1)
        return room < sample->count ? room : sample->count;
    size_t most = room / 2 < SHUFFLES_LEAST ? SHUFFLES_LEAST : room / 2;
    return sample->count < most ? sample->count : most;
}

void top_view_text(struct text *text, const struct top_view *view, const struct top_sample *sample)
{
    struct lines lines = {
        .text = text, .width = view->width, .left = view->height == 0 ? SIZE_MAX : view->height};
    size_t selected = view->selected < sample->count ? view->selected : 0;
    const struct fletch_shuffle_report *shown =
        sample->count == 0 ? NULL : sample->shuffles[selected].report;
    bool has_partitions = shown != NULL && shown->partitions != NULL;
    size_t room = shuffle_room(view, sample, has_partitions);
    size_t first = selected < room ? 0 : selected + 1 - room;
    add_head(&lines, view, sample);
    text_print(&lines.line, "  %-9s %5s %9s %12s %12s %8s %8s %8s %8s  %s", "state", "parts",
               "producers", "rows/s in", "rows/s out", "in/s", "out/s", "queued", "disk",
               "shuffle, and who waits");
    end_line(&lines);
    for (size_t i = first; i < first + room && i < sample->count; i++)
        add_shuffle(&lines, &sample->shuffles[i], view->marks_selected && i == selected);
    if (has_partitions && lines.left > PARTITION_HEAD)
        add_partitions(&lines, shown);
    text->failed |= lines.line.failed;
    text_end(&lines.line);
}

/* ---- JSON ---- */

static void json_rate(struct text *text, const char *name, double rate)
{
    text_json_key(text, name);
    text_print(text, "%.1f", rate);
}

static void json_rates(struct text *text, const struct top_rates *rates)
{
    json_rate(text, "rows_in_per_second", rates->rows_in);
    json_rate(text, "rows_out_per_second", rates->rows_out);
    json_rate(text, "bytes_in_per_second", rates->bytes_in);
    json_rate(text, "bytes_out_per_second", rates->bytes_out);
}

void top_view_json(struct text *text, const struct top_view *view, const struct top_sample *sample)
{
    text_word(text, "{");
    text_json_member(text, "location", view->location);
    text_json_number(text, "time", (unsigned long long)time(NULL));
    json_rates(text, &sample->rates);
    text_json_number(text, "producers_waiting", sample->waits.producers);
    text_json_number(text, "readers_waiting", sample->waits.waiting_readers);
    text_json_number(text, "partitions_without_reader", sample->waits.without_reader);
    text_json_number(text, "bytes_queued", sample->bytes_queued);
    text_json_number(text, "bytes_charged", sample->bytes_charged);
    text_json_number(text, "bytes_on_disk", sample->bytes_on_disk);
    text_json_key(text, "shuffles");
    text_word(text, "[");
    for (size_t i = 0; i < sample->count; i++) {
        text_word(text, i == 0 ? "" : ",");
        service_text_json(text, sample->shuffles[i].report);
        if (!text->failed)
            text->size--; /* the bracket, which comes behind the rates */
        json_rates(text, &sample->shuffles[i].rates);
        text_word(text, "}");
    }
    text_word(text, "]}\n");
}
