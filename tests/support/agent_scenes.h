#ifndef FLETCH_TESTS_SUPPORT_AGENT_SCENES_H
#define FLETCH_TESTS_SUPPORT_AGENT_SCENES_H

#include <fletching/fletching.h>

/* A transport with a system of agents that write down what happens to them. Batches have one event
 * each, whose number tells them apart. What fails ends the program. */

enum { TEST_AGENTS_MAX = 8, TEST_TARGETS_MAX = 4, TEST_LOG_BYTES = 4096 };

struct test_agents;

/* What a test agent does: it sends each batch on to each of its targets, replies to requests with
 * what was asked, and writes what it handles into its log. */
struct test_agent {
    struct test_agents *scene;
    struct fletch_agent *agent;
    struct fletch_agent *targets[TEST_TARGETS_MAX];
    uint32_t target_count;
    char log[TEST_LOG_BYTES]; /* "init 1 2 ctl7 bar3 end close" */
    /* Fails `fail_times` times at messages of this kind, or, for NOTHING, in init. */
    enum fletch_agent_message_kind fail_kind;
    uint32_t fail_times;
    uint32_t inits;
    uint32_t closes;
    uint64_t sum; /* of the numbers of its batches */
    uint64_t count;
    struct fletch_agent *asks; /* asks it for each batch, instead of sending it */
    uint64_t ask_timeout_ns;
    bool keeps_requests; /* and replies when told */
    struct fletch_agent_request kept;
    bool is_quiet; /* writes no log */
};

struct test_agents {
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_schema *schema;
    struct fletch_buffer_cache *cache; /* the test's thread */
    struct test_agent agents[TEST_AGENTS_MAX];
    uint32_t count;
    uint64_t now_ns; /* the transport's time in stepped systems */
};

extern const struct fletch_agent_functions test_agent_functions;

struct test_agents *test_agents_make(uint32_t thread_count);

/* Drains nothing: cancels, and everything must come back. */
void test_agents_end(struct test_agents *scene);

/* An agent that writes things down; options name, functions and argument are filled in. */
struct test_agent *test_agent_spawn(struct test_agents *scene, const char *name,
                                    struct fletch_agent_options options);
void test_agent_link(struct test_agent *from, struct test_agent *to, uint32_t capacity);

/* A batch with this number in a slot with shuffle hash 10 · number and partition `number`. */
struct fletch_batch_slot test_slot(struct test_agents *scene, uint64_t number);

/* Posts it without waiting. */
enum fletch_status test_agent_post(struct test_agent *to, uint64_t number,
                                   struct fletch_error *error);

/* Steps all agents in turn until none moves. */
void test_agents_settle(struct test_agents *scene);

struct fletch_agent_counts test_agent_statistics(const struct test_agent *agent);

#endif
