#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "quantity.h"
#include "service_run.h"
#include "service_text.h"

static void print_head(struct text *text, const struct fletch_shuffle_report *report)
{
    text_word(text, "shuffle      ");
    text_bytes(text, report->name.bytes, report->name.byte_count);
    text_print(text, "\nstate        %s\npartitions   %" PRIu32 " by %s", report->state,
               report->partition_count, report->method);
    for (size_t i = 0; i < report->key_count; i++)
        text_print(text, "%s%s", i == 0 ? " of " : ", ", report->keys[i]);
    text_print(text,
               "\nproducers    %" PRIu32 " of %" PRIu32 " have ended, %" PRIu32 " are writing%s\n",
               report->statistics.producers_ended, report->producers,
               report->statistics.producers_open, report->is_open ? ", more may come" : "");
    text_print(text, "verified     by %s", service_sums(report->sums));
    if (report->producers_unverified > 0)
        text_print(text, ", but for %" PRIu32 " producer%s without sums",
                   report->producers_unverified, report->producers_unverified == 1 ? "" : "s");
    text_print(text, "\nretention    %s\n", service_retention(report->retention));
}

static void print_flow(struct text *text, const struct fletch_exchange_statistics *all)
{
    text_print(text, "put          %s rows, %s\n", quantity_count(all->rows_written).text,
               quantity_bytes(all->bytes_written).text);
    text_print(text, "read         %s rows, %s\n", quantity_count(all->rows_read).text,
               quantity_bytes(all->bytes_read).text);
    text_print(text, "memory       %s of %s, %s queued\n", quantity_bytes(all->bytes_charged).text,
               quantity_bytes(all->budget_bytes).text, quantity_bytes(all->bytes_queued).text);
    text_print(text, "disk         %s now, %s in all\n", quantity_bytes(all->bytes_on_disk).text,
               quantity_bytes(all->bytes_spilled).text);
    text_print(text, "waited       producers %s in %" PRIu64 " waits for credit, readers %s\n",
               quantity_duration((double)all->credit_wait_ns * 1e-9).text, all->credit_waits,
               quantity_duration((double)all->reader_wait_ns * 1e-9).text);
}

static void print_partition(struct text *text, uint32_t number,
                            const struct fletch_partition_report *partition)
{
    text_print(text, "%9" PRIu32 "  %-10s %15s %15s %10s  ", number,
               service_partition_state(partition->state), quantity_count(partition->rows).text,
               quantity_count(partition->rows_read).text,
               quantity_bytes(partition->bytes_queued).text);
    service_text_partition_wait(text, partition);
    while (text->size > 0 && text->bytes[text->size - 1] == ' ')
        text->size--;
    text_word(text, "\n");
}

static enum outcome print_report(const struct fletch_shuffle_report *report, bool is_json)
{
    struct text text = {0};
    enum outcome outcome = OUTCOME_DONE;
    if (is_json) {
        service_text_json(&text, report);
        text_word(&text, "\n");
    } else {
        const struct service_waits waits = service_waits_of(report);
        print_head(&text, report);
        print_flow(&text, &report->statistics);
        text_word(&text, "waits        ");
        service_text_waits(&text, &waits);
        text_print(&text, "%s\n\n%9s  %-10s %15s %15s %10s  %s\n",
                   text.bytes != NULL && text.bytes[text.size - 1] == ' ' ? "nobody" : "",
                   "partition", "state", "rows", "read", "queued", "who waits");
        for (uint32_t i = 0; i < report->partition_count; i++)
            print_partition(&text, i, &report->partitions[i]);
    }
    if (text.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for the report");
    else
        text_write(&text, stdout); /* what was not written is told when the output is flushed */
    text_end(&text);
    return outcome;
}

static enum outcome show(const struct service_run *run, const char *word, bool is_json)
{
    struct text name = {0};
    struct fletch_shuffle_reports reports;
    struct fletch_error error;
    enum outcome outcome = service_parse_name(run->usage, word, &name);
    if (outcome == OUTCOME_DONE) {
        if (service_report(run, &name, &reports, &error) != FLETCH_OK) {
            outcome = service_tell(run, &error);
        } else {
            outcome = print_report(&reports.reports[0], is_json);
            fletch_shuffle_reports_release(reports);
        }
    }
    text_end(&name);
    return outcome;
}

enum outcome stat_command(char **command_line)
{
    bool is_json = false;
    uint64_t seconds = 0;
    const struct option_entry options[] = {
        {"json", OPTION_FLAG, NULL, "one object instead of text", &is_json},
        {"timeout", OPTION_COUNT, "N", "seconds to wait (default: 60)", &seconds}};
    const struct command_usage usage = {
        .name = "stat",
        .synopsis = "LOCATION SHUFFLE [--json] [--timeout N]",
        .text = "Tells what is known of a shuffle of the service at LOCATION: producers, rows,\n"
                "memory, and of each partition its state, its backlog, and who waits for whom.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    struct service_run run;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count != 2)
        return options_refuse(&usage, "a LOCATION and a SHUFFLE were expected");
    outcome = service_begin(&run, &usage, operands.words[0], seconds);
    if (outcome == OUTCOME_DONE)
        outcome = show(&run, operands.words[1], is_json);
    service_end(&run);
    return outcome;
}
