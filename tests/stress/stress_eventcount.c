#include <fletching/fletching.h>

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/team.h"
#include "sync/eventcount.h"

/* Threads that sleep until it is their turn. A wake-up that is lost leaves everybody asleep, and
 * the test ends by its time limit. */

enum { WAITERS = 6 };

static struct test_arguments arguments;

/* One way to sleep: a futex, or a descriptor in an epoll loop. */
struct bed {
    struct fletch_eventcount *eventcount;
    int epoll_fd; /* -1: a futex */
};

static bool bed_open(struct bed *bed, struct fletch_eventcount *eventcount, bool epoll)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd;
    *bed = (struct bed){.eventcount = eventcount, .epoll_fd = -1};
    if (!epoll)
        return true;
    bed->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return bed->epoll_fd >= 0 && fletch_eventcount_open_fd(eventcount, &fd, NULL) == FLETCH_OK &&
           epoll_ctl(bed->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void bed_close(struct bed *bed)
{
    if (bed->epoll_fd >= 0)
        close(bed->epoll_fd);
}

/* Sleeps until `condition` is true. */
static void sleep_until(struct bed *bed, bool (*condition)(void *context), void *context)
{
    bool done = condition(context);
    while (!done && bed->epoll_fd < 0) {
        uint32_t key = fletch_eventcount_prepare(bed->eventcount);
        done = condition(context);
        if (done)
            fletch_eventcount_cancel(bed->eventcount);
        else
            (void)fletch_eventcount_wait(bed->eventcount, key, FLETCH_NO_TIMEOUT);
        done = done || condition(context);
    }
    while (!done) {
        struct epoll_event event;
        uint32_t key = fletch_eventcount_arm(bed->eventcount);
        done = condition(context);
        if (!done)
            (void)!epoll_wait(bed->epoll_fd, &event, 1, -1);
        fletch_eventcount_disarm(bed->eventcount, key);
        done = done || condition(context);
    }
}

/* ---- ping-pong ---- */

struct table {
    struct fletch_eventcount *sides[2];
    _Atomic uint64_t turn; /* counts the strokes; even: the first side's */
    uint64_t strokes;
};

struct player {
    struct table *table;
    uint64_t side;
    struct bed bed;
    struct jitter jitter;
    uint64_t strokes;
};

static bool is_my_turn(void *context)
{
    struct player *player = context;
    return load_acquire(&player->table->turn) % 2 == player->side;
}

static void play(void *context)
{
    struct player *player = context;
    struct table *table = player->table;
    for (; player->strokes < table->strokes; player->strokes++) {
        sleep_until(&player->bed, is_my_turn, player);
        jitter_step(&player->jitter);
        fetch_add_release(&table->turn, 1);
        fletch_eventcount_notify(table->sides[1 - player->side], 1);
    }
}

static void ping_pong(bool first_epoll, bool second_epoll)
{
    struct table table = {.strokes = 2500 * arguments.scale};
    struct player players[2];
    struct team_role roles[2];
    for (uint64_t i = 0; i < 2; i++)
        assert_ok(fletch_eventcount_create(NULL, &table.sides[i], NULL));
    for (uint64_t i = 0; i < 2; i++) {
        players[i] = (struct player){
            .table = &table, .side = i, .jitter = jitter_from_seed(arguments.seed + i, 8)};
        assert_true(bed_open(&players[i].bed, table.sides[i], i == 0 ? first_epoll : second_epoll));
        roles[i] = (struct team_role){.run = play, .context = &players[i]};
    }
    team_run(roles, 2);
    assert_true(load_relaxed(&table.turn) == 2 * table.strokes);
    for (uint64_t i = 0; i < 2; i++) {
        assert_true(load_relaxed(&table.sides[i]->sleepers) % FLETCH_ONE_GENERATION == 0);
        bed_close(&players[i].bed);
        fletch_eventcount_destroy(table.sides[i]);
    }
}

static void ping_pong_between_futexes_ends(void **state)
{
    (void)state;
    ping_pong(false, false);
}

static void ping_pong_between_descriptors_ends(void **state)
{
    (void)state;
    ping_pong(true, true);
}

static void ping_pong_between_futex_and_descriptor_ends(void **state)
{
    (void)state;
    ping_pong(false, true);
}

/* ---- permits ---- */

struct office {
    struct fletch_eventcount *eventcount;
    _Atomic uint64_t permits; /* there to be taken */
    _Atomic uint64_t taken;
    uint64_t total;
    struct jitter jitter;
    bool notify_all;
};

struct applicant {
    struct office *office;
    struct bed bed;
    uint64_t got;
    bool last; /* what is_served found */
};

static bool take_permit(struct office *office)
{
    uint64_t permits = load_acquire(&office->permits);
    while (permits > 0)
        if (cas_strong_acq_rel(&office->permits, &permits, permits - 1))
            return true;
    return false;
}

/* A permit was taken, or there will be no more. */
static bool is_served(void *context)
{
    struct applicant *applicant = context;
    struct office *office = applicant->office;
    if (take_permit(office)) {
        applicant->got++;
        if (atomic_fetch_add(&office->taken, 1) + 1 == office->total)
            fletch_eventcount_notify(office->eventcount, UINT32_MAX);
        return true;
    }
    applicant->last = load_acquire(&office->taken) == office->total;
    return applicant->last;
}

static void apply(void *context)
{
    struct applicant *applicant = context;
    while (!applicant->last)
        sleep_until(&applicant->bed, is_served, applicant);
}

static void grant(void *context)
{
    struct office *office = context;
    for (uint64_t granted = 0; granted < office->total;) {
        uint64_t count = 1 + fletch_random_below(&office->jitter.random, 3);
        if (count > office->total - granted)
            count = office->total - granted;
        fetch_add_release(&office->permits, count);
        fletch_eventcount_notify(office->eventcount,
                                 office->notify_all ? UINT32_MAX : (uint32_t)count);
        granted += count;
        jitter_step(&office->jitter);
        /* Not too far ahead, so that sleepers are there to be woken. */
        while (load_acquire(&office->permits) > 4)
            fletch_thread_yield();
    }
}

static void serve(uint32_t epoll_one_in, bool notify_all, enum fletch_sharing sharing)
{
    struct office office = {.total = 4000 * arguments.scale,
                            .jitter = jitter_from_seed(arguments.seed, 8),
                            .notify_all = notify_all};
    _Alignas(8) char memory[64];
    struct applicant applicants[WAITERS];
    struct team_role roles[WAITERS + 1];
    uint64_t got = 0;
    assert_ok(fletch_eventcount_init(memory, sizeof memory, sharing, &office.eventcount, NULL));
    for (uint32_t i = 0; i < WAITERS; i++) {
        applicants[i] = (struct applicant){.office = &office};
        assert_true(bed_open(&applicants[i].bed, office.eventcount,
                             epoll_one_in != 0 && i % epoll_one_in == 0));
        roles[i] = (struct team_role){.run = apply, .context = &applicants[i]};
    }
    roles[WAITERS] = (struct team_role){.run = grant, .context = &office};
    team_run(roles, WAITERS + 1);
    for (uint32_t i = 0; i < WAITERS; i++) {
        got += applicants[i].got;
        bed_close(&applicants[i].bed);
    }
    assert_true(got == office.total);
    assert_true(load_relaxed(&office.permits) == 0);
    assert_true(load_relaxed(&office.eventcount->sleepers) % FLETCH_ONE_GENERATION == 0);
    fletch_eventcount_deinit(office.eventcount);
}

static void as_many_are_woken_as_are_needed(void **state)
{
    (void)state;
    serve(0, false, FLETCH_SHARING_PROCESS);
    serve(0, false, FLETCH_SHARING_HOST);
}

static void all_can_be_woken(void **state)
{
    (void)state;
    serve(0, true, FLETCH_SHARING_PROCESS);
}

static void futexes_and_descriptors_are_woken_together(void **state)
{
    (void)state;
    serve(2, true, FLETCH_SHARING_PROCESS);
    serve(1, false, FLETCH_SHARING_PROCESS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_pong_between_futexes_ends),
        cmocka_unit_test(ping_pong_between_descriptors_ends),
        cmocka_unit_test(ping_pong_between_futex_and_descriptor_ends),
        cmocka_unit_test(as_many_are_woken_as_are_needed),
        cmocka_unit_test(all_can_be_woken),
        cmocka_unit_test(futexes_and_descriptors_are_woken_together),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
