#include <fletching/fletching.h>
#include <fletching/wait.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/shuffles.h"
#include "support/stores.h"

/* A real fork: what the parent made says so in the child, the child makes its own, and the parent
 * goes on as if nothing had been. A child tells the line of what was wrong by its exit status. */

enum { SKIPPED = 77 };

static bool is_refused(enum fletch_status status, const struct fletch_error *error)
{
    return status == FLETCH_FAILED_PRECONDITION && strstr(error->message, "forked") != NULL;
}

/* Fails the child. */
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            return 1; \
        } \
    } while (0)

#define REFUSED(call) CHECK(is_refused((call), &error))

/* ---- memory ---- */

static int use_memory_of_parent(void *context)
{
    struct test_pool *pool = context;
    struct fletch_error error = {.message = ""};
    struct fletch_buffer *buffer = NULL;
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_account *account = NULL;
    static const struct fletch_account_options options = {.struct_size = sizeof options};
    static uint8_t bytes[64];
    const struct fletch_foreign_memory memory = {.data = bytes, .bytes = sizeof bytes};
    uint32_t key;
    int fd;
    REFUSED(fletch_buffer_allocate(pool->cache, 100, NULL, &buffer, &error));
    REFUSED(fletch_buffer_allocate(pool->cache, 100, pool->account, &buffer, &error));
    REFUSED(fletch_buffer_wrap(pool->cache, &memory, NULL, &buffer, &error));
    REFUSED(fletch_buffer_cache_open(pool->pool, &cache, &error));
    REFUSED(fletch_buffer_pool_destroy(pool->pool, &error));
    REFUSED(fletch_account_reserve(pool->account, 1, 0, &error));
    REFUSED(fletch_account_reserve(pool->account, 1, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_account_open(pool->account, &options, &account, &error));
    REFUSED(fletch_budget_open_fd(pool->budget, &fd, &error));
    CHECK(!fletch_account_arm(pool->account, NULL, 1, &key));
    REFUSED(fletch_budget_destroy(pool->budget, &error));
    /* The child's own. */
    struct test_pool own = test_pool_make();
    CHECK(fletch_buffer_allocate(own.cache, 100, own.account, &buffer, NULL) == FLETCH_OK);
    fletch_buffer_release(own.cache, buffer);
    test_pool_end(&own);
    return 0;
}

static void memory_of_the_parent_is_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    /* So that the cache has blocks at hand, and the descriptor is one that both share. */
    struct fletch_buffer *buffer = buffer_filled(&pool, 100, 1);
    struct fletch_buffer *kept = buffer_filled(&pool, 100, 2);
    int fd;
    fletch_buffer_release(pool.cache, buffer);
    assert_ok(fletch_budget_open_fd(pool.budget, &fd, NULL));
    assert_int_equal(child_run(use_memory_of_parent, &pool, false), 0);
    assert_int_equal(fletch_buffer_data(kept)[99], 2);
    fletch_buffer_release(pool.cache, kept);
    buffer = buffer_filled(&pool, 100, 3);
    fletch_buffer_release(pool.cache, buffer);
    test_pool_end(&pool);
}

/* ---- the store ---- */

struct test_store {
    struct drop_count drops;
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
};

static struct test_store make_store(void)
{
    struct test_store test = {.store = NULL};
    assert_ok(fletch_epoch_domain_create(NULL, NULL, &test.domain, NULL));
    assert_ok(fletch_epoch_reader_open(test.domain, &test.reader, NULL));
    assert_ok(fletch_partition_store_create(test.domain, NULL, NULL, &test.store, NULL));
    return test;
}

static void end_store(struct test_store *test)
{
    fletch_partition_store_destroy(test->store);
    fletch_epoch_reader_close(test->reader);
    fletch_epoch_domain_destroy(test->domain);
}

static int use_store_of_parent(void *context)
{
    struct test_store *test = context;
    const struct fletch_store_key key = store_key(1, 1);
    struct fletch_error error = {.message = ""};
    struct fletch_epoch_reader *reader = NULL;
    struct fletch_store_value *value = NULL;
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    uint64_t removed = 7;
    fletch_epoch_enter(test->reader);
    value = fletch_partition_store_view(test->store, test->reader, &key);
    CHECK(value != NULL && stored_is_whole(value, &key)); /* as it was at the fork */
    fletch_epoch_exit(test->reader);
    REFUSED(fletch_epoch_reader_open(test->domain, &reader, &error));
    REFUSED(fletch_partition_store_value_create(test->store, test->reader, 8, &value, &error));
    REFUSED(fletch_partition_store_insert(test->store, test->reader, &key, value, &error));
    REFUSED(fletch_partition_store_replace(test->store, test->reader, &key, value, &error));
    REFUSED(fletch_partition_store_remove(test->store, test->reader, &key, &error));
    REFUSED(fletch_partition_store_remove_version(test->store, test->reader, &key, 1, &error));
    REFUSED(fletch_partition_store_take(test->store, test->reader, &key, &value, &error));
    REFUSED(fletch_partition_store_remove_shuffle(test->store, test->reader, 1, &removed, &error));
    REFUSED(fletch_partition_store_statistics(test->store, test->reader, &statistics, &error));
    CHECK(removed == 0);
    CHECK(fletch_partition_store_wait(test->store, test->reader, &key, FLETCH_NO_TIMEOUT, &value) ==
          FLETCH_FAILED_PRECONDITION);
    struct test_store own = make_store();
    value = make_stored(own.store, own.reader, &key, 5);
    CHECK(fletch_partition_store_insert(own.store, own.reader, &key, value, NULL) == FLETCH_OK);
    end_store(&own);
    return 0;
}

static void the_store_of_the_parent_is_refused(void **state)
{
    (void)state;
    struct test_store test = make_store();
    const struct fletch_store_key key = store_key(1, 1);
    struct fletch_store_value *value = make_stored(test.store, test.reader, &key, 4);
    assert_ok(fletch_partition_store_insert(test.store, test.reader, &key, value, NULL));
    assert_int_equal(child_run(use_store_of_parent, &test, false), 0);
    assert_ok(fletch_partition_store_remove(test.store, test.reader, &key, NULL));
    end_store(&test);
}

/* ---- a shuffle ---- */

struct test_exchange {
    struct test_shuffle *test;
    struct fletch_shuffle_writer *writer;
    struct fletch_shuffle_reader *reader;
    struct fletch_batch *batch;
};

static int use_shuffle_of_parent(void *context)
{
    struct test_exchange *exchange = context;
    struct test_shuffle *test = exchange->test;
    struct fletch_error error = {.message = ""};
    struct fletch_shuffle *shuffle = NULL;
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_shuffle_event event;
    const struct fletch_shuffle_name name = {.bytes = "x", .byte_count = 1};
    bool has_event;
    int fd;
    REFUSED(fletch_shuffle_register(test->transport, NULL, &shuffle, &error));
    REFUSED(fletch_shuffle_find(test->transport, name, 0, &shuffle, &error));
    REFUSED(fletch_shuffle_writer_open(test->shuffle, 0, NULL, &writer, &error));
    REFUSED(fletch_shuffle_reader_open(test->shuffle, NULL, &reader, &error));
    REFUSED(fletch_shuffle_writer_write(exchange->writer, exchange->batch, 0, &error));
    REFUSED(fletch_shuffle_writer_put(exchange->writer, 0, exchange->batch, 0, &error));
    REFUSED(fletch_shuffle_writer_flush(exchange->writer, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_shuffle_writer_end(exchange->writer, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_shuffle_writer_open_fd(exchange->writer, &fd, &error));
    REFUSED(fletch_shuffle_reader_open_fd(exchange->reader, &fd, &error));
    REFUSED(fletch_shuffle_reader_next(exchange->reader, 0, &event, &has_event, &error));
    CHECK(!fletch_shuffle_writer_arm(exchange->writer));
    CHECK(!fletch_shuffle_reader_arm(exchange->reader));
    /* These cannot say no, and do nothing: the files that rows were spilled to are the parent's. */
    fletch_shuffle_writer_close(exchange->writer);
    fletch_shuffle_reader_close(exchange->reader);
    fletch_shuffle_close(test->shuffle);
    fletch_shuffle_release(test->shuffle);
    REFUSED(fletch_transport_destroy(test->transport, &error));
    struct test_shuffle own = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    test_shuffle_end(&own);
    return 0;
}

static void a_shuffle_of_the_parent_is_refused(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .budget_bytes = 1 << 20, .spill_directory = ".", .spill_after_ns = 1});
    struct test_exchange exchange = {.test = &test,
                                     .writer = writer_open(&test, 0),
                                     .reader = reader_open(&test),
                                     .batch = batch_make(&test, 100)};
    rows_write(&test, exchange.writer, 5000);
    assert_int_equal(child_run(use_shuffle_of_parent, &exchange, false), 0);
    assert_ok(fletch_shuffle_writer_end(exchange.writer, FLETCH_NO_TIMEOUT, NULL));
    reader_drain(&test, exchange.reader);
    piles_must_agree(&test);
    fletch_batch_release(test.cache, exchange.batch);
    fletch_shuffle_writer_close(exchange.writer);
    fletch_shuffle_reader_close(exchange.reader);
    test_shuffle_end(&test);
}

/* ---- flows ---- */

static enum fletch_status produce_nothing(struct fletch_flow_context *context, void *state,
                                          bool *out_has_more, struct fletch_error *error)
{
    (void)state, (void)out_has_more, (void)error;
    fletch_flow_pause(context, FLETCH_NO_TIMEOUT);
    return FLETCH_OK;
}

static const struct fletch_flow_functions pauses = {.struct_size = sizeof pauses,
                                                    .produce = produce_nothing};
static const struct fletch_flow_stage pausing = {
    .struct_size = sizeof pausing, .name = "pausing", .functions = &pauses};

struct two_flows {
    struct fletch_transport *transport;
    struct fletch_flow *built;
    struct fletch_flow *running;
};

static int use_flows_of_parent(void *context)
{
    const struct two_flows *flows = context;
    struct fletch_error error;
    struct fletch_flow *flow;
    struct fletch_stage_statistics stage = {.struct_size = sizeof stage};
    uint32_t number;
    REFUSED(fletch_flow_create(flows->transport, NULL, &flow, &error));
    REFUSED(fletch_flow_add_source(flows->built, &pausing, &number, &error));
    REFUSED(fletch_flow_start(flows->built, &error));
    REFUSED(fletch_flow_wait(flows->running, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_flow_stop(flows->running, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_flow_wake(flows->running, 0, &error));
    REFUSED(fletch_flow_barrier(flows->running, 1, &error));
    REFUSED(fletch_flow_abort_barrier(flows->running, 1, &error));
    REFUSED(fletch_flow_wait_barrier(flows->running, 1, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_flow_stage_statistics(flows->running, 0, 0, &stage, &error));
    REFUSED(fletch_flow_destroy(flows->running, FLETCH_NO_TIMEOUT, &error));
    return 0;
}

static void a_flow_of_the_parent_is_refused(void **state)
{
    struct two_flows flows;
    uint32_t number;
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &flows.transport, NULL));
    assert_ok(fletch_flow_create(flows.transport, NULL, &flows.built, NULL));
    assert_ok(fletch_flow_create(flows.transport, NULL, &flows.running, NULL));
    assert_ok(fletch_flow_add_source(flows.running, &pausing, &number, NULL));
    assert_ok(fletch_flow_start(flows.running, NULL));
    assert_int_equal(child_run(use_flows_of_parent, &flows, false), 0);
    assert_ok(fletch_flow_stop(flows.running, FLETCH_NO_TIMEOUT, NULL));
    assert_ok(fletch_flow_destroy(flows.running, FLETCH_NO_TIMEOUT, NULL));
    assert_ok(fletch_flow_destroy(flows.built, 0, NULL));
    assert_ok(fletch_transport_destroy(flows.transport, NULL));
}

/* ---- agents ---- */

static enum fletch_status take_anything(void *state, struct fletch_agent *self,
                                        const struct fletch_agent_message *message,
                                        struct fletch_error *error)
{
    (void)state, (void)self, (void)message, (void)error;
    return FLETCH_OK;
}

struct test_forked_agents {
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_agent *agent;
    struct fletch_agent *driven;
};

static int use_agents_of_parent(void *context)
{
    struct test_forked_agents *test = context;
    struct fletch_error error = {.message = ""};
    struct fletch_agent_message message;
    struct fletch_batch_slot slot = {.batch = NULL}, reply;
    const struct fletch_agent_options options = {.struct_size = sizeof options, .name = "other"};
    struct fletch_agent_system *system;
    struct fletch_agent *agent;
    REFUSED(fletch_agent_system_create(test->transport, NULL, &system, &error));
    REFUSED(fletch_agent_spawn(test->system, &options, &agent, &error));
    REFUSED(fletch_agent_link(test->driven, test->agent, 0, &error));
    REFUSED(fletch_agent_system_start(test->system, &error));
    REFUSED(fletch_agent_post(test->agent, &slot, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_agent_call(test->agent, &slot, 1, &reply, &error));
    REFUSED(fletch_agent_tell(test->agent, 1, 1, &error));
    REFUSED(fletch_agent_receive(test->driven, FLETCH_NO_TIMEOUT, &message, &error));
    REFUSED(fletch_agent_system_barrier(test->system, 1, &error));
    REFUSED(fletch_agent_system_wait_barrier(test->system, 1, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_agent_system_drain(test->system, FLETCH_NO_TIMEOUT, &error));
    REFUSED(fletch_agent_system_destroy(test->system, FLETCH_NO_TIMEOUT, &error));
    return 0;
}

static void agents_of_the_parent_are_refused(void **state)
{
    static const struct fletch_agent_functions functions = {.receive = take_anything};
    const struct fletch_agent_system_options stepped = {.struct_size = sizeof stepped,
                                                        .thread_count = FLETCH_AGENTS_STEPPED};
    struct fletch_agent_options options = {
        .struct_size = sizeof options, .name = "agent", .functions = &functions};
    struct test_forked_agents test;
    const struct fletch_batch_slot slot = {.batch = NULL};
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &test.transport, NULL));
    assert_ok(fletch_agent_system_create(test.transport, &stepped, &test.system, NULL));
    assert_ok(fletch_agent_spawn(test.system, &options, &test.agent, NULL));
    options = (struct fletch_agent_options){.struct_size = sizeof options, .name = "driven"};
    assert_ok(fletch_agent_spawn(test.system, &options, &test.driven, NULL));
    assert_ok(fletch_agent_system_start(test.system, NULL));
    assert_int_equal(child_run(use_agents_of_parent, &test, false), 0);
    assert_ok(fletch_agent_post(test.agent, &slot, 0, NULL));
    assert_ok(fletch_agent_system_destroy(test.system, 0, NULL));
    assert_ok(fletch_transport_destroy(test.transport, NULL));
}

/* ---- numbers ---- */

static int compare_numbers(void *context)
{
    uint32_t parent = *(const uint32_t *)context;
    CHECK(!fletch_process_is(parent));
    uint32_t own = fletch_process_number();
    CHECK(own != parent && own != 0 && fletch_process_is(own) && fletch_process_number() == own);
    return 0;
}

static int compare_numbers_twice(void *context)
{
    CHECK(child_run(compare_numbers, context, false) == 0); /* before this one has a number */
    CHECK(compare_numbers(context) == 0);
    uint32_t own = fletch_process_number();
    CHECK(child_run(compare_numbers, context, false) == 0);
    return child_run(compare_numbers, &own, false);
}

static void each_process_has_a_number_of_its_own(void **state)
{
    (void)state;
    uint32_t number = fletch_process_number();
    assert_int_equal(child_run(compare_numbers_twice, &number, false), 0);
    assert_true(fletch_process_is(number));
}

static int tell_number(void *context)
{
    return !fletch_process_is(*(const uint32_t *)context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_process_has_a_number_of_its_own),
        cmocka_unit_test(memory_of_the_parent_is_refused),
        cmocka_unit_test(the_store_of_the_parent_is_refused),
        cmocka_unit_test(a_shuffle_of_the_parent_is_refused),
        cmocka_unit_test(a_flow_of_the_parent_is_refused),
        cmocka_unit_test(agents_of_the_parent_are_refused),
    };
    uint32_t number = fletch_process_number();
    if (child_run(tell_number, &number, false) == 0) {
        fprintf(stderr, "skipped: the system clears no pages on fork\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
