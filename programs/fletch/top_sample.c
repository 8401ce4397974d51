#include "top_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double top_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The busiest first, and those that are as busy by name. */
static int compare_shuffles(const void *one, const void *other)
{
    const struct top_shuffle *a = one, *b = other;
    double busy_a = a->rates.bytes_in + a->rates.bytes_out;
    double busy_b = b->rates.bytes_in + b->rates.bytes_out;
    if (busy_a > busy_b || busy_a < busy_b)
        return busy_a > busy_b ? -1 : 1;
    return service_compare_names(&a->report->name, &b->report->name);
}

static const struct fletch_exchange_statistics *find(const struct top_sample *sample,
                                                     const struct fletch_shuffle_report *report)
{
    for (size_t i = 0; i < sample->reports.count; i++) {
        const struct fletch_shuffle_report *other = &sample->reports.reports[i];
        if (other->name_hash == report->name_hash &&
            service_compare_names(&other->name, &report->name) == 0)
            return &other->statistics;
    }
    return NULL;
}

/* A shuffle that was dropped and made again counts from zero. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now < before ? 0 : (double)(now - before) / seconds;
}

static void find_rates(struct top_shuffle *shuffle, const struct top_sample *before, double seconds)
{
    static const struct fletch_exchange_statistics none = {0};
    const struct fletch_exchange_statistics *now = &shuffle->report->statistics;
    const struct fletch_exchange_statistics *then = find(before, shuffle->report);
    if (then == NULL)
        then = &none;
    shuffle->rates = (struct top_rates){rate(now->rows_written, then->rows_written, seconds),
                                        rate(now->rows_read, then->rows_read, seconds),
                                        rate(now->bytes_written, then->bytes_written, seconds),
                                        rate(now->bytes_read, then->bytes_read, seconds)};
}

/* One that is gone meanwhile stays as it was heard of in short. */
static void ask_detail(const struct service_run *run, struct top_shuffle *shuffle)
{
    const struct fletch_shuffle_address address = {run->location, shuffle->report->name};
    if (fletch_shuffle_client_report(run->client, &address, run->timeout_ns, &shuffle->detail,
                                     NULL) != FLETCH_OK)
        return;
    shuffle->report = &shuffle->detail.reports[0];
    shuffle->waits = service_waits_of(shuffle->report);
}

static void add_up(struct top_sample *sample, const struct top_shuffle *shuffle)
{
    const struct fletch_exchange_statistics *now = &shuffle->report->statistics;
    sample->rates.rows_in += shuffle->rates.rows_in;
    sample->rates.rows_out += shuffle->rates.rows_out;
    sample->rates.bytes_in += shuffle->rates.bytes_in;
    sample->rates.bytes_out += shuffle->rates.bytes_out;
    sample->waits.producers += shuffle->waits.producers;
    sample->waits.without_reader += shuffle->waits.without_reader;
    sample->waits.waiting_readers += shuffle->waits.waiting_readers;
    sample->bytes_queued += now->bytes_queued;
    sample->bytes_charged += now->bytes_charged;
    sample->bytes_on_disk += now->bytes_on_disk;
}

bool top_sample_take(const struct service_run *run, const struct top_sample *before,
                     size_t detail_limit, struct top_sample *out_sample, struct fletch_error *error)
{
    static const struct text all = {0};
    *out_sample = (struct top_sample){.time = 0};
    if (service_report(run, &all, &out_sample->reports, error) != FLETCH_OK)
        return false;
    out_sample->time = top_clock();
    out_sample->count = out_sample->reports.count;
    out_sample->shuffles = calloc(out_sample->count + 1, sizeof *out_sample->shuffles);
    if (out_sample->shuffles == NULL) {
        error->status = FLETCH_RESOURCE_EXHAUSTED;
        snprintf(error->message, sizeof error->message, "no memory for %zu shuffles",
                 out_sample->count);
        top_sample_end(out_sample);
        return false;
    }
    out_sample->has_rates = before != NULL && before->time > 0;
    for (size_t i = 0; i < out_sample->count; i++) {
        struct top_shuffle *shuffle = &out_sample->shuffles[i];
        shuffle->report = &out_sample->reports.reports[i];
        if (out_sample->has_rates)
            find_rates(shuffle, before, out_sample->time - before->time);
    }
    qsort(out_sample->shuffles, out_sample->count, sizeof *out_sample->shuffles, compare_shuffles);
    for (size_t i = 0; i < out_sample->count; i++) {
        if (i < detail_limit)
            ask_detail(run, &out_sample->shuffles[i]);
        add_up(out_sample, &out_sample->shuffles[i]);
    }
    return true;
}

void top_sample_end(struct top_sample *sample)
{
    for (size_t i = 0; i < sample->count && sample->shuffles != NULL; i++)
        if (sample->shuffles[i].detail.reports != NULL)
            fletch_shuffle_reports_release(sample->shuffles[i].detail);
    free(sample->shuffles);
    if (sample->reports.reports != NULL)
        fletch_shuffle_reports_release(sample->reports);
    *sample = (struct top_sample){.time = 0};
}
