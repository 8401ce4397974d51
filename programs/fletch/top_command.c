/* fletch top: what a shuffle service does, once a second. */

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "screen.h"
#include "service_run.h"
#include "top_sample.h"
#include "top_view.h"

enum {
    INTERVAL_DEFAULT_MS = 1000,
    INTERVAL_LEAST_MS = 100,
    INTERVAL_MOST_MS = 3600000,
    TIMEOUT_SECONDS = 5,
    DETAILS = 64, /* shuffles whose partitions are asked for */
    SIGNAL_EXIT = 128
};

struct top_run {
    struct service_run service;
    struct screen screen;
    struct top_view view;
    struct top_sample sample;
    struct fletch_error trouble;
    uint64_t interval_ms;
    uint64_t selected_hash; /* of the name of the one that was chosen: others change places */
    bool has_selected;
    int signal_fd;
    bool is_live;
    bool is_json;
    bool is_once;
    bool is_over;
    enum outcome outcome; /* when it is over */
};

static void end(struct top_run *run, enum outcome outcome)
{
    run->is_over = true;
    run->outcome = outcome;
}

/* ---- showing ---- */

static void show_live(struct top_run *run)
{
    struct text text = {0};
    struct screen_size size = screen_size();
    run->view.width = size.width;
    run->view.height = size.height;
    top_view_text(&text, &run->view, &run->sample);
    if (!screen_show(&text))
        end(run, OUTCOME_SYSTEM); /* a terminal that is gone hears nothing more */
    text_end(&text);
}

static void show_plain(struct top_run *run)
{
    struct text text = {0};
    if (run->is_json) {
        top_view_json(&text, &run->view, &run->sample);
    } else {
        top_view_text(&text, &run->view, &run->sample);
        if (!run->is_once)
            text_word(&text, "\n");
    }
    bool has_memory = !text.failed;
    if (!has_memory)
        end(run, outcome_tell(OUTCOME_SYSTEM, "no memory for what is to be shown"));
    else if (!text_write(&text, stdout) || fflush(stdout) != 0)
        end(run, OUTCOME_DONE); /* told when the output is flushed */
    text_end(&text);
}

/* Finds the chosen shuffle again, or the one that has its place. */
static void follow_selected(struct top_run *run)
{
    for (size_t i = 0; i < run->sample.count && run->has_selected; i++)
        if (run->sample.shuffles[i].report->name_hash == run->selected_hash)
            run->view.selected = i;
    if (run->view.selected >= run->sample.count)
        run->view.selected = 0;
}

static void choose(struct top_run *run, size_t selected)
{
    run->view.selected = selected;
    run->selected_hash = run->sample.shuffles[selected].report->name_hash;
    run->has_selected = true;
}

/* A new sample takes the place of the old one. Without a terminal the first one, which has no
 * rates, is not shown. */
static void take_sample(struct top_run *run)
{
    struct top_sample sample;
    if (!top_sample_take(&run->service, &run->sample, DETAILS, &sample, &run->trouble)) {
        run->view.trouble = run->trouble.message;
        if (!run->is_live || run->sample.time <= 0)
            end(run, OUTCOME_SYSTEM);
        return;
    }
    top_sample_end(&run->sample);
    run->sample = sample;
    run->view.trouble = NULL;
    follow_selected(run);
    if (run->is_live || !sample.has_rates)
        return;
    show_plain(run);
    if (run->is_once && !run->is_over)
        end(run, OUTCOME_DONE);
}

/* ---- signals and keys ---- */

static enum outcome catch_signals(struct top_run *run)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaddset(&signals, caught[i]);
    signal(SIGPIPE, SIG_IGN); /* who reads the output may go: told by the write */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0 ? OUTCOME_DONE
                               : outcome_tell_errno("signals", "cannot wait for them");
}

/* The shell gets its terminal as it was, and the screen comes back with the program. */
static void stop_for_shell(struct top_run *run)
{
    if (run->is_live)
        screen_close(&run->screen);
    raise(SIGSTOP);
    if (run->is_live)
        screen_open(&run->screen);
}

static void take_signals(struct top_run *run)
{
    struct signalfd_siginfo about;
    while (!run->is_over && read(run->signal_fd, &about, sizeof about) == (ssize_t)sizeof about) {
        if (about.ssi_signo == SIGTSTP)
            stop_for_shell(run);
        else if (about.ssi_signo != SIGWINCH)
            end(run, (enum outcome)(SIGNAL_EXIT + (int)about.ssi_signo));
    }
}

static void take_key(struct top_run *run)
{
    enum screen_key key;
    if (!screen_read_key(&key))
        run->screen.has_keys = false;
    if (key == SCREEN_QUIT)
        end(run, OUTCOME_DONE);
    else if (key == SCREEN_DOWN && run->view.selected + 1 < run->sample.count)
        choose(run, run->view.selected + 1);
    else if (key == SCREEN_UP && run->view.selected > 0)
        choose(run, run->view.selected - 1);
}

/* Until it is time for the next sample. Whatever happens meanwhile is shown at once. */
static void wait_until(struct top_run *run, double time)
{
    while (!run->is_over) {
        double left = time - top_clock();
        if (left <= 0)
            return;
        struct pollfd descriptors[] = {
            {.fd = run->signal_fd, .events = POLLIN},
            {.fd = run->is_live && run->screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(descriptors, 2, (int)(left * 1000) + 1) <= 0)
            continue;
        take_signals(run);
        if ((descriptors[1].revents & POLLIN) != 0)
            take_key(run);
        else if ((descriptors[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            run->screen.has_keys = false;
        if (run->is_live && !run->is_over)
            show_live(run);
    }
}

static void run_samples(struct top_run *run)
{
    take_sample(run); /* before the screen is taken: a service that is not there is told plainly */
    if (run->is_over)
        return;
    if (run->is_live)
        screen_open(&run->screen);
    double next = top_clock();
    while (!run->is_over) {
        if (run->is_live)
            show_live(run);
        next += (double)run->interval_ms * 1e-3;
        if (next < top_clock()) /* the service was slow, or this was stopped */
            next = top_clock() + (double)run->interval_ms * 1e-3;
        if (!run->is_over)
            wait_until(run, next);
        if (!run->is_over)
            take_sample(run);
    }
    screen_close(&run->screen);
}

static enum outcome run_top(struct top_run *run, const struct command_usage *usage,
                            const char *location, uint64_t seconds)
{
    enum outcome outcome = catch_signals(run);
    run->view.location = location;
    run->view.marks_selected = run->is_live;
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = service_begin(&run->service, usage, location, seconds);
    if (outcome == OUTCOME_DONE) {
        run_samples(run);
        outcome = run->outcome;
        if (outcome == OUTCOME_SYSTEM && run->view.trouble != NULL)
            outcome = service_tell(&run->service, &run->trouble);
    }
    top_sample_end(&run->sample);
    service_end(&run->service);
    close(run->signal_fd);
    return outcome;
}

enum outcome top_command(char **command_line)
{
    struct top_run run = {.interval_ms = INTERVAL_DEFAULT_MS};
    uint64_t seconds = TIMEOUT_SECONDS;
    const struct option_entry options[] = {
        {"interval", OPTION_COUNT, "MS", "milliseconds between looks (default: 1000)",
         &run.interval_ms},
        {"once", OPTION_FLAG, NULL, "looks for one interval, prints that, and ends", &run.is_once},
        {"json", OPTION_FLAG, NULL, "an object on a line for each look", &run.is_json},
        {"timeout", OPTION_COUNT, "N", "seconds to wait for an answer (default: 5)", &seconds}};
    const struct command_usage usage = {
        .name = "top",
        .synopsis = "LOCATION [--interval MS] [--once] [--json]",
        .text = "Shows what the shuffles of the service at LOCATION do: rates, what waits in\n"
                "memory and on disk, partitions, and who waits for whom. On a terminal the whole\n"
                "screen: up and down choose a shuffle, q ends. Elsewhere plain text.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count != 1)
        return options_refuse(&usage, "one LOCATION was expected");
    if (run.interval_ms < INTERVAL_LEAST_MS || run.interval_ms > INTERVAL_MOST_MS)
        return options_refuse(&usage, "--interval is %" PRIu64 ", expected %d to %d",
                              run.interval_ms, INTERVAL_LEAST_MS, INTERVAL_MOST_MS);
    run.is_live = !run.is_once && !run.is_json && screen_is_there();
    return run_top(&run, &usage, operands.words[0], seconds);
}
