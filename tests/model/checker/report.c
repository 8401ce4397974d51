#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "search.h"

struct mc_failure mc_failure;

static const char *const error_names[] = {
    [MC_NO_ERROR] = "none",
    [MC_ASSERTION] = "assertion",
    [MC_RACE] = "race",
    [MC_USE_AFTER_FREE] = "use-after-free",
    [MC_DOUBLE_FREE] = "double-free",
    [MC_INVALID_FREE] = "invalid-free",
    [MC_OUT_OF_BOUNDS] = "out-of-bounds",
    [MC_UNINITIALISED] = "uninitialised-read",
    [MC_LEAK] = "leak",
    [MC_DEADLOCK] = "deadlock",
    [MC_LOST_WAKEUP] = "lost-wakeup",
    [MC_LIVELOCK] = "livelock",
    [MC_MIXED_SIZE] = "mixed-size",
    [MC_CRASH] = "crash",
    [MC_ENDLESS] = "endless",
};

enum { ERROR_NAMES = sizeof error_names / sizeof error_names[0] };

const char *mc_error_name(enum mc_error error)
{
    return error_names[error];
}

enum mc_error mc_error_of_name(const char *name)
{
    for (int i = 1; i < ERROR_NAMES; i++)
        if (strcmp(name, error_names[i]) == 0)
            return (enum mc_error)i;
    return MC_NO_ERROR;
}

/* While the failed execution is repeated for its trace, the error is known already. */
static _Noreturn void fail(enum mc_error error, uintptr_t address, const char *format,
                           va_list arguments)
{
    if (mc_failure.error == MC_NO_ERROR) {
        mc_failure.error = error;
        mc_failure.address = address;
        vsnprintf(mc_failure.message, sizeof mc_failure.message, format, arguments);
    }
    mc_run_leave(MC_FAILED);
}

_Noreturn void mc_fail(enum mc_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(error, 0, format, arguments);
}

_Noreturn void mc_fail_at(enum mc_error error, uintptr_t address, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(error, address, format, arguments);
}

_Noreturn void mc_internal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "checker: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(2);
}

/* ---- the trace ---- */

enum { PLAIN_LINES = 4096, CODES = 2 * MC_EVENTS + PLAIN_LINES, PLACE_BYTES = 120 };

struct plain_line {
    int position; /* events before it */
    int thread;
    size_t bytes;
    uintptr_t address;
    const char *what;
    void *code;
};

static struct plain_line plain_line[PLAIN_LINES];
static int plain_count;

void mc_report_plain(int thread, uintptr_t address, size_t bytes, const char *what, void *code)
{
    uintptr_t wanted = mc_failure.address;
    if (wanted == 0 || wanted + 8 <= address || address + bytes <= wanted)
        return;
    if (strstr(what, "atomically") != NULL || plain_count == PLAIN_LINES)
        return;
    plain_line[plain_count++] = (struct plain_line){.position = mc_run.position,
                                                    .thread = thread,
                                                    .bytes = bytes,
                                                    .address = address,
                                                    .what = what,
                                                    .code = code};
}

/* Function, file and line of addresses in the program, from one run of addr2line. */
struct place {
    void *code;
    char text[PLACE_BYTES];
};

static struct place place[CODES];
static int place_count;

static void add_place(void *code)
{
    for (int i = 0; i < place_count; i++)
        if (place[i].code == code)
            return;
    if (code != NULL && place_count < CODES)
        place[place_count++].code = code;
}

static const char *text_of(void *code)
{
    for (int i = 0; i < place_count; i++)
        if (place[i].code == code && place[i].text[0] != '\0')
            return place[i].text;
    return "";
}

static void read_places(FILE *lines)
{
    char function[256], file[512];
    for (int i = 0; i < place_count; i++) {
        if (fgets(function, sizeof function, lines) == NULL ||
            fgets(file, sizeof file, lines) == NULL)
            return;
        function[strcspn(function, "\n")] = '\0';
        file[strcspn(file, " \n")] = '\0';
        const char *name = strrchr(file, '/');
        snprintf(place[i].text, sizeof place[i].text, "%.60s  %.50s", function,
                 name == NULL ? file : name + 1);
    }
}

static void find_places(const struct mc_graph *graph)
{
    static char command[64 + CODES * 20];
    char program[256];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return;
    program[length] = '\0';
    for (int i = 0; i < graph->count; i++) {
        add_place(graph->event[i].code);
        add_place(graph->event[i].caller);
    }
    for (int i = 0; i < plain_count; i++)
        add_place(plain_line[i].code);
    size_t used = (size_t)snprintf(command, sizeof command, "addr2line -f -e '%s'", program);
    for (int i = 0; i < place_count && used + 24 < sizeof command; i++)
        used += (size_t)snprintf(command + used, sizeof command - used, " %p",
                                 (void *)((char *)place[i].code - 1));
    FILE *lines = popen(command, "r");
    if (lines == NULL)
        return;
    read_places(lines);
    pclose(lines);
}

/* An event that was run before the write, but comes after it in modification order, or -1. */
static int earlier_behind(const struct mc_graph *graph, const struct mc_event *write)
{
    for (int i = 0; &graph->event[i] != write; i++)
        if (graph->event[i].kind == MC_WRITE && graph->event[i].location == write->location &&
            graph->event[i].rank > write->rank)
            return i;
    return -1;
}

static void print_access(const struct mc_graph *graph, const struct mc_event *event)
{
    uintptr_t address = mc_location_address(event->location);
    const char *update = (event->flags & MC_UPDATE) != 0 ? " (update)" : "";
    if (mc_location_is_queue(event->location))
        update = (event->flags & MC_UPDATE) != 0 ? " (queue, update)" : " (queue)";
    if (event->kind == MC_WRITE) {
        printf(" %#lx = %#llx%s", (unsigned long)address, (unsigned long long)event->value, update);
        int behind = earlier_behind(graph, event);
        if (behind >= 0)
            printf(", ordered before #%d", behind);
        return;
    }
    printf(" %#lx -> %#llx%s", (unsigned long)address, (unsigned long long)event->value, update);
    if (event->source == MC_INITIAL)
        printf(" from the beginning");
    else
        printf(" from #%d", event->source);
    if ((event->flags & MC_SPURIOUS) != 0)
        printf(", fails for no reason");
}

static void print_event(const struct mc_graph *graph, int number)
{
    static const char *const kinds[] = {"start", "end",   "create", "join", "read",
                                        "write", "fence", "choice", "awake"};
    static const char *const orders[] = {"relaxed", "consume", "acquire",
                                         "release", "acq_rel", "seq_cst"};
    const struct mc_event *event = &graph->event[number];
    printf("#%-3d  %*st%d  %s", number, 2 * event->thread, "", event->thread, kinds[event->kind]);
    if (event->kind == MC_READ || event->kind == MC_WRITE) {
        printf(" %s", orders[event->order]);
        print_access(graph, event);
    } else if (event->kind == MC_FENCE) {
        const char *half = (event->flags & MC_LIGHT) != 0 ? "light" : "heavy";
        bool whole = (event->flags & (MC_LIGHT | MC_HEAVY)) == 0;
        printf(" %s", whole ? orders[event->order] : half);
    } else if (event->kind == MC_CHOICE) {
        printf(" %s", event->value == 0 ? "sleep on" : "time out");
    }
    if (event->code != NULL)
        printf("    [%s%s%s]", text_of(event->code), event->caller == NULL ? "" : " < ",
               text_of(event->caller));
    printf("\n");
}

static void print_plain(int *next, int position)
{
    for (; *next < plain_count && plain_line[*next].position <= position; (*next)++) {
        const struct plain_line *line = &plain_line[*next];
        printf("      %*st%d  %s %zu bytes at %#lx    [%s]\n", 2 * line->thread, "", line->thread,
               line->what, line->bytes, (unsigned long)line->address, text_of(line->code));
    }
}

static void print_states(void)
{
    static const char *const states[] = {
        [MC_PAUSED] = "spins",
        [MC_REFUSED] = "waits for a mutex",
        [MC_ASLEEP] = "sleeps on a futex",
    };
    for (int i = 0; i < mc_run.thread_count; i++) {
        enum mc_thread_state state = mc_run.thread[i].state;
        if (state == MC_PAUSED || state == MC_REFUSED || state == MC_ASLEEP)
            printf("      %*st%d  %s\n", 2 * i, "", i, states[state]);
    }
}

void mc_report_print(const struct mc_graph *graph)
{
    int next_plain = 0;
    place_count = 0;
    find_places(graph);
    printf("ERROR %s: %s\n", mc_error_name(mc_failure.error), mc_failure.message);
    if (mc_failure.address != 0)
        printf("      at %#lx\n", (unsigned long)mc_failure.address);
    for (int i = 0; i < graph->count; i++) {
        print_plain(&next_plain, i);
        print_event(graph, i);
    }
    print_plain(&next_plain, graph->count);
    print_states();
    printf("replay with --replay ");
    mc_replay_print(graph);
    fflush(stdout);
    plain_count = 0;
}
