#include "shuffle_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quantity.h"
#include "shuffle_progress.h"
#include "terminal.h"
#include "text.h"

/* Up to so many partitions each has a bar; of more, the least, the median and the largest. */
enum { BARS = 16, BAR_WIDTH = 40, BAR_WIDTH_LEAST = 5, BESIDE_BARS = 25 };

static const struct {
    enum fletch_sum_level level;
    const char *name;
    const char *text;
} levels[] = {{FLETCH_SUMS_OFF, "off", "nothing"},
              {FLETCH_SUMS_COUNTS, "counts", "batches, rows and bytes"},
              {FLETCH_SUMS_KEYS, "keys", "rows, bytes, and a sum of hashes of the keys"},
              {FLETCH_SUMS_ROWS, "rows", "rows, bytes, and a sum of hashes of all columns"}};
enum { LEVELS = sizeof levels / sizeof levels[0] };

static size_t rank_of(enum fletch_sum_level level)
{
    for (size_t i = 0; i < LEVELS; i++)
        if (levels[i].level == level)
            return i;
    return 0;
}

static size_t weakest_rank(const struct shuffle_job *job)
{
    size_t weakest = LEVELS - 1;
    for (uint32_t i = 0; i < job->folder.count; i++) {
        size_t rank = rank_of(job->verified[i]);
        weakest = rank < weakest ? rank : weakest;
    }
    return weakest;
}

enum fletch_sum_level shuffle_report_level(const struct shuffle_job *job)
{
    return levels[weakest_rank(job)].level;
}

struct totals {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t bytes_out;
    uint64_t batches_out;
    uint64_t peak_bytes; /* resident, of this process */
    struct fletch_exchange_statistics shuffle;
};

/* The most that this program had in memory; 0: the system does not tell. (What getrusage tells
 * begins with the peak of the process that started this one.) */
static uint64_t resident_bytes_peak(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];
    uint64_t kibibytes = 0;
    if (status == NULL)
        return 0;
    while (kibibytes == 0 && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", strlen("VmHWM:")) == 0)
            kibibytes = strtoull(line + strlen("VmHWM:"), NULL, 10);
    fclose(status);
    return kibibytes * 1024;
}

static struct totals sum_up(const struct shuffle_job *job)
{
    struct totals totals = {.shuffle = {.struct_size = sizeof totals.shuffle}};
    fletch_shuffle_statistics(job->shuffle, &totals.shuffle);
    totals.rows_in = shuffle_rows(job->producers, job->settings.producer_count);
    for (uint32_t i = 0; i < job->folder.count; i++) {
        totals.rows_out += job->folder.files[i].rows;
        totals.bytes_out += job->folder.files[i].bytes;
        totals.batches_out += job->folder.files[i].batches;
    }
    totals.peak_bytes = resident_bytes_peak();
    return totals;
}

/* ---- skew ---- */

static int by_rows(const void *a, const void *b)
{
    const struct part_file *const *left = a, *const *right = b;
    return ((*left)->rows > (*right)->rows) - ((*left)->rows < (*right)->rows);
}

/* As long as the longest bar may be. */
static size_t bar_width(void)
{
    size_t width = terminal_width(STDOUT_FILENO);
    if (width == 0 || width >= BAR_WIDTH + BESIDE_BARS)
        return BAR_WIDTH;
    return width > BAR_WIDTH_LEAST + BESIDE_BARS ? width - BESIDE_BARS : BAR_WIDTH_LEAST;
}

static void print_bar(const struct shuffle_job *job, const struct part_file *file, uint64_t largest,
                      const char *word)
{
    char bar[BAR_WIDTH + 1];
    size_t width = bar_width();
    size_t length =
        largest == 0 ? 0 : (size_t)((double)file->rows / (double)largest * (double)width + 0.5);
    memset(bar, '#', length);
    bar[length] = '\0';
    printf("  %5td %-*s %s%s\n", file - job->folder.files, (int)width, bar,
           quantity_count(file->rows).text, word);
}

static void print_skew(const struct shuffle_job *job, uint64_t rows)
{
    uint32_t count = job->folder.count;
    const struct part_file **sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &job->folder.files[i];
    qsort(sorted, count, sizeof *sorted, by_rows);
    uint64_t largest = sorted[count - 1]->rows;
    double mean = (double)rows / (double)count;
    printf("skew       largest partition %.2f times the mean of %s rows\n",
           rows == 0 ? 1.0 : (double)largest / mean, quantity_count((uint64_t)(mean + 0.5)).text);
    for (uint32_t i = 0; i < count && count <= BARS; i++)
        print_bar(job, &job->folder.files[i], largest, "");
    if (count > BARS) {
        print_bar(job, sorted[0], largest, " (least)");
        print_bar(job, sorted[count / 2], largest, " (median)");
        print_bar(job, sorted[count - 1 - count / 10], largest, " (of the largest tenth)");
        print_bar(job, sorted[count - 1], largest, " (largest)");
    }
    free(sorted);
}

/* ---- text ---- */

static void print_stages(const struct shuffle_job *job, const struct totals *totals)
{
    printf("seconds   ");
    for (int i = 0; i < STAGES; i++)
        printf(" %s %.2f%s", shuffle_stage_names[i],
               shuffle_stage_seconds(job, (enum shuffle_stage)i), i + 1 < STAGES ? "," : "");
    printf("\n           mean of %" PRIu64 " producers and %" PRIu64
           " writing threads; %.2f of partitioning was waiting for room\n",
           job->settings.producer_count, job->settings.thread_count,
           (double)totals->shuffle.credit_wait_ns * 1e-9 / (double)job->settings.producer_count);
}

static void print_text(const struct shuffle_job *job, const struct totals *totals, double seconds)
{
    double gigabytes = (double)totals->shuffle.bytes_read * 1e-9;
    size_t rank = weakest_rank(job);
    printf("shuffled   %s rows in = %s rows out, %s in = %s out, in %s (%.2f GB/s)\n",
           quantity_count(totals->rows_in).text, quantity_count(totals->rows_out).text,
           quantity_bytes(totals->shuffle.bytes_sent).text,
           quantity_bytes(totals->shuffle.bytes_read).text, quantity_duration(seconds).text,
           gigabytes / seconds);
    printf("written    %" PRIu32 " files in %s, %s%s\n", job->folder.count, job->folder.path,
           quantity_bytes(totals->bytes_out).text,
           job->folder.syncs ? ", on the disk" : ", not yet on the disk (--no-sync)");
    if (rank == 0)
        printf("verified   nothing (--sums off)\n");
    else
        printf("verified   --sums %s: %s, at each partition's end\n", levels[rank].name,
               levels[rank].text);
    print_stages(job, totals);
    printf("memory     %s of %s used at most, %s spilled; %s resident at most\n",
           quantity_bytes(totals->shuffle.bytes_charged_peak).text,
           quantity_bytes(job->settings.memory_bytes).text,
           quantity_bytes(totals->shuffle.bytes_spilled).text,
           quantity_bytes(totals->peak_bytes).text);
    print_skew(job, totals->rows_out);
}

/* ---- JSON ---- */

static void json_partitions(const struct shuffle_job *job, struct text *text)
{
    text_json_key(text, "partitions");
    text_word(text, "[");
    for (uint32_t i = 0; i < job->folder.count; i++) {
        const struct part_file *file = &job->folder.files[i];
        text_word(text, i > 0 ? ",{" : "{");
        text_json_number(text, "partition", i);
        text_json_number(text, "rows", file->rows);
        text_json_number(text, "batches", file->batches);
        text_json_number(text, "bytes", file->bytes);
        text_word(text, "}");
    }
    text_word(text, "]");
}

static void print_json(const struct shuffle_job *job, const struct totals *totals, double seconds)
{
    static const char *const stage_keys[STAGES] = {"read", "partition", "receive", "write", "sync"};
    struct text text = {0};
    text_word(&text, "{");
    text_json_number(&text, "rows_in", totals->rows_in);
    text_json_number(&text, "rows_out", totals->rows_out);
    text_json_number(&text, "bytes_in", totals->shuffle.bytes_sent);
    text_json_number(&text, "bytes_out", totals->shuffle.bytes_read);
    text_json_number(&text, "input_file_bytes", job->input_bytes);
    text_json_number(&text, "output_file_bytes", totals->bytes_out);
    text_json_number(&text, "batches_out", totals->batches_out);
    text_json_key(&text, "seconds");
    text_print(&text, "%.6f", seconds);
    text_json_member(&text, "verified", levels[weakest_rank(job)].name);
    text_json_key(&text, "stage_seconds");
    text_word(&text, "{");
    for (int i = 0; i < STAGES; i++) {
        text_json_key(&text, stage_keys[i]);
        text_print(&text, "%.6f", shuffle_stage_seconds(job, (enum shuffle_stage)i));
    }
    text_json_key(&text, "credit_wait");
    text_print(&text, "%.6f}", (double)totals->shuffle.credit_wait_ns * 1e-9);
    text_json_number(&text, "memory_bytes", job->settings.memory_bytes);
    text_json_number(&text, "memory_bytes_peak", totals->shuffle.bytes_charged_peak);
    text_json_number(&text, "resident_bytes_peak", totals->peak_bytes);
    text_json_number(&text, "spilled_bytes", totals->shuffle.bytes_spilled);
    json_partitions(job, &text);
    text_word(&text, "}\n");
    text_write(&text, stdout);
    text_end(&text);
}

void shuffle_report_print(const struct shuffle_job *job, double seconds)
{
    struct totals totals = sum_up(job);
    if (job->settings.is_json)
        print_json(job, &totals, seconds);
    else
        print_text(job, &totals, seconds);
}
