#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fletching/fletching.h>

#include "bench_case.h"
#include "bench_threads.h"
#include "command.h"
#include "command_line.h"
#include "text.h"

enum {
    ROUNDS = 7, /* of each case, behind one that does not count: odd, for a median */
    SECONDS_DEFAULT = 10,
    SECONDS_MAX = 3600
};

static const struct bench_case *const cases[] = {
    &bench_spsc_ring, &bench_mpsc_queue, &bench_fan_in, &bench_broadcast_ring,
    &bench_store,     &bench_scatter,    &bench_shuffle};
enum { CASES = sizeof cases / sizeof cases[0] };

struct figures {
    double rounds[BENCH_MEASURES_MAX][ROUNDS]; /* sorted, at the end */
};

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static enum outcome run_rounds(const struct bench_case *subject, void *state, uint64_t round_ns,
                               struct figures *out_figures)
{
    double found[BENCH_MEASURES_MAX] = {0};
    enum outcome outcome = subject->round(state, round_ns, found);
    for (size_t i = 0; i < ROUNDS && outcome == OUTCOME_DONE; i++) {
        outcome = subject->round(state, round_ns, found);
        for (size_t m = 0; m < BENCH_MEASURES_MAX; m++)
            out_figures->rounds[m][i] = found[m];
    }
    for (size_t m = 0; m < BENCH_MEASURES_MAX && outcome == OUTCOME_DONE; m++)
        qsort(out_figures->rounds[m], ROUNDS, sizeof(double), compare);
    return outcome;
}

static enum outcome run_case(const struct bench_case *subject, uint64_t round_ns,
                             struct figures *out_figures)
{
    void *state = NULL;
    enum outcome outcome = subject->open != NULL ? subject->open(&state) : OUTCOME_DONE;
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = run_rounds(subject, state, round_ns, out_figures);
    if (subject->close != NULL)
        subject->close(state);
    return outcome;
}

/* ---- text ---- */

/* Three digits, or all that are before the point. */
static int decimals(double figure)
{
    return figure >= 100 ? 0 : figure >= 10 ? 1 : 2;
}

static void print_head(const struct fletch_runtime *runtime)
{
    uint32_t processors = bench_processor_count();
    printf("fletch %s on %s\n", fletch_version(), runtime->processor);
    if (processors == 1)
        printf("1 processor: threads take turns on it, so rings and shuffle show less than they\n"
               "could.\n");
    else
        printf("%u processors; up to as many threads are pinned, each to one of its own.\n",
               (unsigned)processors);
    printf("Median of %d rounds, lowest to highest; each checks that nothing is lost:\n\n", ROUNDS);
}

static void print_case(const struct bench_case *subject, const struct figures *figures)
{
    for (size_t m = 0; m < BENCH_MEASURES_MAX && subject->measures[m].name != NULL; m++) {
        const struct bench_measure *measure = &subject->measures[m];
        const double *rounds = figures->rounds[m];
        double median = rounds[ROUNDS / 2];
        printf("%s%-*s %5.*f %-12s  %.*f to %.*f\n", measure->is_floor ? "  " : "",
               measure->is_floor ? 38 : 40, measure->title, decimals(median), median, measure->unit,
               decimals(rounds[0]), rounds[0], decimals(rounds[ROUNDS - 1]), rounds[ROUNDS - 1]);
    }
    fflush(stdout);
}

/* ---- JSON ---- */

static void write_figure(struct text *text, const char *name, double figure)
{
    text_json_key(text, name);
    text_print(text, "%.6g", figure);
}

static void write_pinned(struct text *text, uint32_t thread_count)
{
    text_json_key(text, "pinned_to");
    text_word(text, "[");
    for (uint32_t i = 0; i < thread_count && bench_is_pinned(thread_count); i++)
        text_print(text, "%s%u", i > 0 ? "," : "", (unsigned)bench_processor(i));
    text_word(text, "]");
}

static void write_case(struct text *text, const struct bench_case *subject,
                       const struct figures *figures)
{
    for (size_t m = 0; m < BENCH_MEASURES_MAX && subject->measures[m].name != NULL; m++) {
        const struct bench_measure *measure = &subject->measures[m];
        const double *rounds = figures->rounds[m];
        text_word(text, text->bytes != NULL && text->bytes[text->size - 1] == '}' ? ",{" : "{");
        text_json_member(text, "name", measure->name);
        text_json_member(text, "title", measure->title);
        text_json_member(text, "unit", measure->unit);
        write_figure(text, "median", rounds[ROUNDS / 2]);
        write_figure(text, "lowest", rounds[0]);
        write_figure(text, "highest", rounds[ROUNDS - 1]);
        text_json_key(text, "is_floor");
        text_word(text, measure->is_floor ? "true" : "false");
        text_json_number(text, "threads", measure->is_floor ? 1 : subject->thread_count);
        write_pinned(text, measure->is_floor ? 1 : subject->thread_count);
        text_word(text, "}");
    }
}

static void write_head(struct text *text, const struct fletch_runtime *runtime, uint64_t seconds)
{
    text_word(text, "{");
    text_json_member(text, "version", fletch_version());
    text_json_member(text, "processor", runtime->processor);
    text_json_number(text, "processors", bench_processor_count());
    text_json_number(text, "seconds", seconds);
    text_json_number(text, "rounds", ROUNDS);
    text_json_key(text, "measures");
    text_word(text, "[");
}

static enum outcome run_cases(uint64_t seconds, bool is_json)
{
    struct fletch_runtime runtime = {.struct_size = sizeof runtime};
    struct text text = {0};
    enum outcome outcome = OUTCOME_DONE;
    uint64_t round_ns = seconds * UINT64_C(1000000000) / CASES / (ROUNDS + 1);
    fletch_runtime_describe(&runtime);
    if (is_json)
        write_head(&text, &runtime, seconds);
    else
        print_head(&runtime);
    for (size_t i = 0; i < CASES && outcome == OUTCOME_DONE; i++) {
        struct figures figures;
        outcome = run_case(cases[i], round_ns, &figures);
        if (outcome == OUTCOME_DONE && is_json)
            write_case(&text, cases[i], &figures);
        else if (outcome == OUTCOME_DONE)
            print_case(cases[i], &figures);
    }
    text_word(&text, "]}\n");
    if (outcome == OUTCOME_DONE && text.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "bench: no memory for the report");
    if (outcome == OUTCOME_DONE && is_json)
        (void)text_write(&text, stdout); /* what is not written the program tells at its end */
    text_end(&text);
    return outcome;
}

enum outcome bench_command(char **words)
{
    uint64_t seconds = SECONDS_DEFAULT;
    bool is_json = false;
    const struct option_entry options[] = {
        {"seconds", OPTION_COUNT, "N", "how long all of it takes, about (10)", &seconds},
        {"json", OPTION_FLAG, NULL, "one object instead of text", &is_json}};
    const struct command_usage usage = {
        .name = "bench",
        .synopsis = "[--seconds N] [--json]",
        .text = "Measures the library on this machine: rings between threads, the partition\n"
                "store, hash and scatter, a shuffle in memory. Each case runs in rounds, which\n"
                "also check that all that went in came out, in order; if not, it exits with 1.\n"
                "Figures mean something on a machine that has nothing else to do.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    if (operands.count > 0)
        return options_refuse(&usage, "takes no '%s'", operands.words[0]);
    if (seconds < 1 || seconds > SECONDS_MAX)
        return options_refuse(&usage, "--seconds is %llu, expected 1 to %d",
                              (unsigned long long)seconds, SECONDS_MAX);
    return run_cases(seconds, is_json);
}
