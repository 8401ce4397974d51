#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "quantity.h"
#include "service_run.h"
#include "service_text.h"

static void print_head(struct text *text)
{
    text_print(text, "%-9s %10s %11s %15s %15s %8s %8s %8s  %s\n", "state", "partitions",
               "producers", "rows", "read", "bytes", "queued", "disk", "shuffle");
}

static void print_line(struct text *text, const struct fletch_shuffle_report *report)
{
    const struct fletch_exchange_statistics *all = &report->statistics;
    char producers[32];
    int state = (int)strcspn(report->state, ":"); /* a reason stands behind it */
    snprintf(producers, sizeof producers, "%" PRIu32 "/%" PRIu32 "%s", all->producers_ended,
             report->producers, report->is_open ? "+" : "");
    text_print(text, "%-9.*s %10" PRIu32 " %11s %15s %15s %8s %8s %8s  ", state, report->state,
               report->partition_count, producers, quantity_count(all->rows_written).text,
               quantity_count(all->rows_read).text, quantity_bytes(all->bytes_written).text,
               quantity_bytes(all->bytes_queued).text, quantity_bytes(all->bytes_on_disk).text);
    text_bytes(text, report->name.bytes, report->name.byte_count);
    if (report->state[state] != '\0')
        text_print(text, " (%s)", report->state + state + 1 + (report->state[state + 1] == ' '));
    text_word(text, "\n");
}

static enum outcome print_all(const struct fletch_shuffle_reports *reports, bool is_json)
{
    struct text text = {0};
    enum outcome outcome = OUTCOME_DONE;
    const struct fletch_shuffle_report **sorted = calloc(reports->count + 1, sizeof(void *));
    if (sorted == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for %zu shuffles", reports->count);
    service_sort(reports, sorted);
    if (!is_json)
        print_head(&text);
    text_write(&text, stdout);
    for (size_t i = 0; i < reports->count && outcome == OUTCOME_DONE; i++) {
        if (is_json) {
            service_text_json(&text, sorted[i]);
            text_word(&text, "\n");
        } else {
            print_line(&text, sorted[i]);
        }
        if (text.failed)
            outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for the line of a shuffle");
        else if (!text_write(&text, stdout))
            break; /* told when the output is flushed */
    }
    text_end(&text);
    free(sorted);
    return outcome;
}

enum outcome ls_command(char **command_line)
{
    bool is_json = false;
    uint64_t seconds = 0;
    const struct option_entry options[] = {
        {"json", OPTION_FLAG, NULL, "an object for each shuffle", &is_json},
        {"timeout", OPTION_COUNT, "N", "seconds to wait (default: 60)", &seconds}};
    const struct command_usage usage = {
        .name = "ls",
        .synopsis = "LOCATION [--json] [--timeout N]",
        .text = "Lists the shuffles of the service at LOCATION, a line for each, by name: state,\n"
                "partitions, producers that have ended of how many (+: more may come), rows put\n"
                "and read, bytes put, and what waits in memory and on disk.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    struct service_run run;
    struct fletch_shuffle_reports reports;
    struct fletch_error error;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count != 1)
        return options_refuse(&usage, "one LOCATION was expected");
    outcome = service_begin(&run, &usage, operands.words[0], seconds);
    if (outcome == OUTCOME_DONE) {
        const struct text all = {0};
        if (service_report(&run, &all, &reports, &error) == FLETCH_OK) {
            outcome = print_all(&reports, is_json);
            fletch_shuffle_reports_release(reports);
        } else {
            outcome = service_tell(&run, &error);
        }
    }
    service_end(&run);
    return outcome;
}
