/* fletch put: the rows of inputs to a shuffle of a service. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "flight_run.h"
#include "inputs.h"
#include "key_columns.h"
#include "quantity.h"
#include "service_run.h"
#include "text.h"

enum {
    PUT_HEADERS = 4,
    HEADER_BYTES = 64,
    OPEN_PRODUCERS = 16 /* the most of an open set where --producers does not say */
};

struct put_words {
    struct flight_words flight; /* location, inputs, compression, timeout */
    const char *by;
    const char *partition;
    const char *retention;
    const char *sums;
    const char *producer;
    uint64_t partition_count; /* 0: the shuffle is there */
    uint64_t producer_count;
    uint64_t attempt;
    bool is_round_robin;
    bool is_open;
    bool checks;
    bool ends;
    bool is_json;
};

struct put_run {
    struct put_words *words;
    struct service_run service;
    struct text name;
    struct text command; /* "<partition>@<name>" */
    char headers[PUT_HEADERS][HEADER_BYTES];
    struct inputs inputs;
};

/* ---- what was typed ---- */

static enum outcome check_creation(const struct put_words *words)
{
    const struct command_usage *usage = words->flight.usage;
    const struct {
        const char *name;
        bool is_there;
    } options[] = {{"by", words->by != NULL},
                   {"round-robin", words->is_round_robin},
                   {"producers", words->producer_count != 0},
                   {"open", words->is_open},
                   {"retention", words->retention != NULL},
                   {"sums", words->sums != NULL}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].is_there && words->partition_count == 0)
            return options_refuse(usage, "--%s is of --partitions, which makes a shuffle",
                                  options[i].name);
    if (words->partition_count == 0)
        return OUTCOME_DONE;
    if (words->partition_count > FLETCH_PARTITIONS_MAX)
        return options_refuse(usage, "--partitions is %" PRIu64 ", expected 1 to %u",
                              words->partition_count, FLETCH_PARTITIONS_MAX);
    if (words->producer_count > FLETCH_PRODUCERS_MAX)
        return options_refuse(usage, "--producers is %" PRIu64 ", expected 1 to %u",
                              words->producer_count, FLETCH_PRODUCERS_MAX);
    if ((words->by != NULL) == words->is_round_robin)
        return options_refuse(usage, "--partitions wants --by COLS or --round-robin");
    return OUTCOME_DONE;
}

static bool is_count(const char *word, uint64_t most)
{
    uint64_t count;
    return word == NULL || (quantity_parse_count(word, &count) && count <= most);
}

static enum outcome check(const struct put_words *words)
{
    const struct command_usage *usage = words->flight.usage;
    if (!is_count(words->partition, FLETCH_PARTITIONS_MAX - 1))
        return options_refuse(usage, "--partition is '%s', expected 0 to %u", words->partition,
                              FLETCH_PARTITIONS_MAX - 1);
    if (!is_count(words->producer, FLETCH_PRODUCERS_MAX - 1))
        return options_refuse(usage, "--producer is '%s', expected 0 to %u", words->producer,
                              FLETCH_PRODUCERS_MAX - 1);
    if (words->attempt != 0 && words->producer == NULL)
        return options_refuse(usage, "--attempt is of --producer");
    if (words->attempt > UINT32_MAX)
        return options_refuse(usage, "--attempt is %" PRIu64 ", at most %u", words->attempt,
                              UINT32_MAX);
    if (words->flight.count == 0 && !words->ends)
        return options_refuse(usage, "no INPUT");
    for (size_t i = 0; i < words->flight.count && words->checks; i++)
        if (strcmp(words->flight.operands[i], INPUTS_STANDARD) == 0)
            return options_refuse(usage, "--check reads inputs twice, and standard input cannot");
    enum outcome outcome = check_creation(words);
    return outcome == OUTCOME_DONE
               ? inputs_check(usage, words->flight.operands, words->flight.count)
               : outcome;
}

/* ---- making the shuffle ---- */

static bool parse_word(const char *word, const char *const *known, size_t count, int *out_number)
{
    for (size_t i = 0; i < count && word != NULL; i++)
        if (strcmp(word, known[i]) == 0) {
            *out_number = (int)i;
            return true;
        }
    return word == NULL;
}

static enum outcome describe(const struct put_words *words, struct fletch_shuffle_options *options)
{
    static const char *const sums[] = {"", "keys", "rows", "counts", "off"};
    static const char *const retentions[] = {"none", "until_close"};
    int sum = FLETCH_SUMS_DEFAULT, retention = FLETCH_RETENTION_NONE;
    if (!parse_word(words->sums, sums, 5, &sum) || (words->sums != NULL && sum == 0))
        return options_refuse(words->flight.usage,
                              "--sums is '%s', expected keys, rows, counts or off", words->sums);
    if (!parse_word(words->retention, retentions, 2, &retention))
        return options_refuse(words->flight.usage,
                              "--retention is '%s', expected none or until_close",
                              words->retention);
    options->sums = (enum fletch_sum_level)sum;
    options->retention = (enum fletch_retention)retention;
    return OUTCOME_DONE;
}

/* Several may put to one shuffle, and any of them be the first: one that is there already is taken
 * if it has as many partitions. */
static enum outcome check_existing(const struct put_run *run)
{
    struct fletch_shuffle_reports reports;
    struct fletch_error error;
    if (service_report(&run->service, &run->name, &reports, &error) != FLETCH_OK)
        return service_tell(&run->service, &error);
    uint32_t count = reports.reports[0].partition_count;
    fletch_shuffle_reports_release(reports);
    if (count == run->words->partition_count)
        return OUTCOME_DONE;
    return outcome_tell(OUTCOME_SYSTEM,
                        "%s: the shuffle is there already, with %" PRIu32
                        " partitions, expected %" PRIu64,
                        run->service.location, count, run->words->partition_count);
}

static enum outcome make_shuffle(void *state, struct fletch_schema *schema)
{
    struct put_run *run = state;
    const struct put_words *words = run->words;
    struct key_columns keys = {.count = 0};
    uint32_t producers = (uint32_t)words->producer_count;
    struct fletch_partitioner_options partitioner = {
        .struct_size = sizeof partitioner,
        .method = words->is_round_robin ? FLETCH_PARTITION_ROUND_ROBIN : FLETCH_PARTITION_HASH,
        .partition_count = (uint32_t)words->partition_count,
        .key_columns = keys.numbers};
    struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                             .name = run->name.bytes,
                                             .name_bytes = run->name.size,
                                             .schema = schema,
                                             .partitioner = &partitioner,
                                             .producer_count = producers};
    struct fletch_error error;
    if (words->is_open) { /* one place is nobody's, and held for others */
        options.hold_open = 1;
        options.producer_count = 1;
        options.producer_limit = 1 + (producers == 0 ? OPEN_PRODUCERS : producers);
    }
    enum outcome outcome = describe(words, &options);
    if (outcome == OUTCOME_DONE && words->by != NULL)
        outcome = key_columns_find(words->flight.usage, schema, words->by, &keys);
    if (outcome != OUTCOME_DONE)
        return outcome;
    partitioner.key_column_count = keys.count;
    enum fletch_status status = fletch_shuffle_client_create_shuffle(
        run->service.client, run->service.location, &options, run->service.timeout_ns, &error);
    if (status == FLETCH_ALREADY_EXISTS)
        return check_existing(run);
    return status == FLETCH_OK ? OUTCOME_DONE : service_tell(&run->service, &error);
}

/* ---- sums that go first ---- */

struct sum {
    uint64_t rows;
    uint64_t row_sum;
};

static enum outcome sum_batch(void *state, struct fletch_batch *batch)
{
    struct sum *sum = state;
    sum->rows += (uint64_t)fletch_batch_row_count(batch);
    sum->row_sum += fletch_hash_row_sum(batch);
    return OUTCOME_DONE;
}

static enum outcome sum_inputs(const struct inputs *inputs, struct sum *out_sum)
{
    struct input_context context;
    struct input_visitor visitor = {.batch = sum_batch, .state = out_sum};
    enum outcome outcome = input_context_begin(&context, FLETCH_VALIDATION_FULL);
    if (outcome == OUTCOME_DONE) {
        outcome = input_visit(&context, inputs, &visitor);
        input_context_end(&context);
    }
    return outcome;
}

/* ---- the call ---- */

static void add_header(struct put_run *run, const char *name, const char *value)
{
    struct option_words *headers = &run->words->flight.headers;
    snprintf(run->headers[headers->count], HEADER_BYTES, "%s=%s", name, value);
    headers->words[headers->count] = run->headers[headers->count];
    headers->count++;
}

static void add_number(struct put_run *run, const char *name, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    add_header(run, name, digits);
}

static enum outcome make_headers(struct put_run *run)
{
    const struct put_words *words = run->words;
    struct sum sum = {0};
    if (words->producer != NULL)
        add_header(run, "fletch-producer", words->producer);
    if (words->attempt != 0)
        add_number(run, "fletch-attempt", words->attempt);
    if (!words->checks)
        return OUTCOME_DONE;
    enum outcome outcome = sum_inputs(&run->inputs, &sum);
    add_number(run, "fletch-rows", sum.rows);
    add_number(run, "fletch-row-sum", sum.row_sum);
    return outcome;
}

static void report(const struct put_run *run, const struct flight_put_counts *counts)
{
    struct text text = {0};
    if (!run->words->is_json) {
        printf("%s rows in %s batches put%s\n", quantity_count(counts->rows).text,
               quantity_count(counts->batches).text, run->words->checks ? ", verified" : "");
        return;
    }
    text_word(&text, "{");
    text_json_number(&text, "rows", counts->rows);
    text_json_number(&text, "batches", counts->batches);
    text_json_key(&text, "verified");
    text_word(&text, run->words->checks ? "true}\n" : "false}\n");
    text_write(&text, stdout);
    text_end(&text);
}

static enum outcome put(struct put_run *run)
{
    const struct put_words *words = run->words;
    const struct flight_put_hook hook = {.begin = make_shuffle, .state = run};
    struct flight_put_counts counts;
    struct flight_run flight;
    enum outcome outcome = flight_begin(&flight, &words->flight);
    if (outcome == OUTCOME_DONE) {
        flight.descriptor.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND;
        flight.descriptor.command =
            (struct fletch_flight_bytes){run->command.bytes, run->command.size};
        outcome = flight_put_inputs(&flight, &run->inputs,
                                    words->partition_count > 0 ? &hook : NULL, &counts);
    }
    flight_end(&flight);
    if (outcome == OUTCOME_DONE)
        report(run, &counts);
    return outcome;
}

static enum outcome end_set(const struct put_run *run)
{
    const struct fletch_shuffle_address address = service_address(&run->service, &run->name);
    struct fletch_error error;
    if (fletch_shuffle_client_end(run->service.client, &address, run->service.timeout_ns, &error) ==
        FLETCH_OK)
        return OUTCOME_DONE;
    return service_tell(&run->service, &error);
}

static enum outcome run_words(struct put_words *words, const char *shuffle)
{
    struct put_run run = {.words = words};
    const struct flight_words *flight = &words->flight;
    enum outcome outcome = service_parse_name(flight->usage, shuffle, &run.name);
    if (outcome == OUTCOME_DONE)
        outcome = service_begin(&run.service, flight->usage, flight->location, flight->seconds);
    text_print(&run.command, "%s@", words->partition == NULL ? "" : words->partition);
    text_append(&run.command, run.name.bytes, run.name.size);
    if (outcome == OUTCOME_DONE && run.command.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for the name of a shuffle");
    if (outcome == OUTCOME_DONE)
        outcome = inputs_expand(&run.inputs, flight->operands, flight->count);
    if (outcome == OUTCOME_DONE)
        outcome = make_headers(&run);
    if (outcome == OUTCOME_DONE && flight->count > 0)
        outcome = put(&run);
    if (outcome == OUTCOME_DONE && words->ends)
        outcome = end_set(&run);
    service_end(&run.service);
    inputs_end(&run.inputs);
    text_end(&run.command);
    text_end(&run.name);
    return outcome;
}

enum outcome put_command(char **command_line)
{
    struct put_words words = {.by = NULL};
    const struct option_entry options[] = {
        {"partitions", OPTION_COUNT, "N", "makes the shuffle, of so many, if it is not there",
         &words.partition_count},
        {"by", OPTION_TEXT, "COLS", "of those: columns of the key, separated by commas", &words.by},
        {"round-robin", OPTION_FLAG, NULL, "of those: rows in turn", &words.is_round_robin},
        {"producers", OPTION_COUNT, "N", "of those: how many put (default: 1)",
         &words.producer_count},
        {"open", OPTION_FLAG, NULL, "of those: until somebody says --end", &words.is_open},
        {"retention", OPTION_TEXT, "WORD", "of those: none (default) or until_close",
         &words.retention},
        {"sums", OPTION_TEXT, "LEVEL", "of those: keys (default), rows, counts, off", &words.sums},
        {"partition", OPTION_TEXT, "P", "all rows to this one, as they are", &words.partition},
        {"producer", OPTION_TEXT, "N", "which producer this is (default: the next)",
         &words.producer},
        {"attempt", OPTION_COUNT, "N", "of that producer", &words.attempt},
        {"check", OPTION_FLAG, NULL, "reads inputs twice: the service verifies the rows",
         &words.checks},
        {"end", OPTION_FLAG, NULL, "no more producers come; also without an INPUT", &words.ends},
        {"compress", OPTION_TEXT, "CODEC", "what is sent: lz4 or zstd", &words.flight.compress},
        {"message-limit", OPTION_BYTES, "BYTES", "what the service takes at once",
         &words.flight.message_bytes},
        {"timeout", OPTION_COUNT, "N", "seconds for each call", &words.flight.seconds},
        {"json", OPTION_FLAG, NULL, "the report as one object", &words.is_json}};
    const struct command_usage usage = {
        .name = "put",
        .synopsis = "LOCATION SHUFFLE [OPTION...] INPUT...",
        .text = "Puts the rows of inputs, of one schema, to a shuffle of the service at LOCATION,\n"
                "as one producer, which has ended when this has. A put that fails is lost to\n"
                "whoever reads. SHUFFLE: a name, or 0x and hexadecimal digits.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count < 2)
        return options_refuse(&usage, "a LOCATION and a SHUFFLE were expected");
    words.flight.usage = &usage;
    words.flight.location = operands.words[0];
    words.flight.operands = operands.words + 2;
    words.flight.count = operands.count - 2;
    outcome = check(&words);
    return outcome == OUTCOME_DONE ? run_words(&words, operands.words[1]) : outcome;
}
