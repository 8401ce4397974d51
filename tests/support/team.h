#ifndef FLETCH_TESTS_SUPPORT_TEAM_H
#define FLETCH_TESTS_SUPPORT_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/random.h"
#include "base/thread.h"

/* Threads that begin their work together. They record what they find in their context, and the main
 * thread checks it after team_join: cmocka's assertions belong there alone. */
enum { TEAM_MAX = 16 };

struct team;

struct team_member {
    struct fletch_thread thread;
    struct team *team;
    void (*run)(void *context);
    void *context;
    _Atomic int tid; /* of the kernel, once it runs */
};

struct team {
    struct team_member members[TEAM_MAX];
    size_t count;
    _Atomic size_t waiting_for; /* members that have not arrived yet */
};

struct team_role {
    void (*run)(void *context);
    void *context;
};

/* A thread that cannot be started ends the program, since the others would wait for it. */
void team_start(struct team *team, const struct team_role *roles, size_t count);
void team_join(struct team *team);

/* Waits until a member runs, and tells its kernel thread id. */
int team_tid(struct team *team, size_t index);

/* team_start and team_join. */
void team_run(const struct team_role *roles, size_t count);

/* Seeded interruptions: about one call in `one_in` gives the processor away, another spins a
 * little, so that threads meet at different places in each run. */
struct jitter {
    struct fletch_random random;
    uint32_t one_in;
};

struct jitter jitter_from_seed(uint64_t seed, uint32_t one_in);
void jitter_step(struct jitter *jitter);

#endif
