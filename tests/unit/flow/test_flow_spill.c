#include <fletching/fletching.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flow_scenes.h"

/* Flows whose shuffles have little memory and a directory: sinks that sleep let them write frames
 * to files, and each row comes all the same, in order and on its side of each barrier; after a
 * failure in the middle no byte and no file is left. */

static const uint64_t patience_ns = UINT64_C(60000000000);

enum { EDGES = 2 };

static struct flow_scene scene;
static char directory[] = "fletching-flow-XXXXXX"; /* where the test runs */

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void assert_no_file_is_left(void)
{
    DIR *opened = opendir(directory);
    struct dirent *entry;
    assert_non_null(opened);
    while ((entry = readdir(opened)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fail_msg("'%s' is left", entry->d_name);
    closedir(opened);
}

static void begin(const struct flow_node_words *nodes, const struct flow_link_words *links)
{
    const struct flow_scene_words words = {
        .seed = 21,
        .barrier_limit = 4,
        .budget_bytes = UINT64_C(8) << 20,
        .edge_budget_bytes = UINT64_C(256) << 10,
        .spill_directory = directory,
    };
    struct fletch_error error;
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = 3;
    scene.link_count = EDGES;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK ||
        fletch_flow_start(scene.flow, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

/* Barriers until the flow has ended, each third of which is given up; how many were taken. */
static uint64_t send_barriers(void)
{
    uint64_t id = 1;
    while (fletch_flow_wait(scene.flow, 0, NULL) == FLETCH_DEADLINE_EXCEEDED) {
        if (fletch_flow_barrier(scene.flow, id, NULL) == FLETCH_OK) {
            if (id % 3 == 0 && id < FLOW_BARRIERS_MAX)
                (void)flow_scene_abort_barrier(&scene, id);
            id++;
        }
        fletch_thread_yield();
    }
    return id - 1;
}

static uint64_t spilled(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < EDGES; i++) {
        struct fletch_edge_statistics edge = {.struct_size = sizeof edge};
        assert_ok(fletch_flow_edge_statistics(scene.flow, i, &edge, NULL));
        assert_int_equal(edge.bytes_queued, 0);
        bytes += edge.bytes_spilled;
    }
    return bytes;
}

static void spill_over(enum fletch_flow_edge_kind kind)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .instances = 2,
         .batches = 400,
         .rows_most = 200,
         .has_watermarks = true},
        {.name = "relay", .kind = FLOW_RELAY, .instances = 2, .naps_at = 40},
        {.name = "sink", .kind = FLOW_SINK, .instances = 3, .naps_at = 20},
    };
    const struct flow_link_words links[] = {{.from = 0, .to = 1, .kind = kind},
                                            {.from = 1, .to = 2, .kind = kind}};
    struct fletch_error error;
    begin(nodes, links);
    assert_true(send_barriers() > 0);
    if (fletch_flow_wait(scene.flow, patience_ns, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const char *complaint = flow_scene_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
    assert_true(spilled() > 0);
    flow_scene_end(&scene);
    assert_no_file_is_left();
}

static void test_what_was_spilled_comes_in_its_order(void **state)
{
    (void)state;
    spill_over(FLETCH_FLOW_HASH);
    spill_over(FLETCH_FLOW_RANGE);
    spill_over(FLETCH_FLOW_REBALANCE);
    spill_over(FLETCH_FLOW_BROADCAST);
}

/* The sink fails behind its nap, when frames are on disk. */
static void fail_over(uint32_t node, enum flow_fault fault)
{
    struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .instances = 2,
         .batches = UINT32_MAX,
         .rows_most = 200},
        {.name = "relay", .kind = FLOW_RELAY, .instances = 2},
        {.name = "sink", .kind = FLOW_SINK, .instances = 2, .naps_at = 20},
    };
    static const struct flow_link_words links[] = {{.from = 0, .to = 1, .kind = FLETCH_FLOW_HASH},
                                                   {.from = 1, .to = 2, .kind = FLETCH_FLOW_HASH}};
    struct fletch_error error;
    nodes[node].fault = fault;
    nodes[node].fault_instance = 1;
    nodes[node].fault_after = fault == FAULT_BARRIER ? 3 : node == 2 ? 25 : 2000;
    begin(nodes, links);
    (void)send_barriers();
    assert_int_equal(fletch_flow_wait(scene.flow, patience_ns, &error), FLETCH_ABORTED);
    assert_contains(error.message, nodes[node].name);
    assert_contains(error.message, "instance 1: as planned");
    const char *complaint = flow_scene_close_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
    if (node == 2 && fault == FAULT_WORK)
        assert_true(spilled() > 0);
    flow_scene_end(&scene); /* no byte is charged any more */
    assert_no_file_is_left();
}

static void test_a_failure_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    fail_over(2, FAULT_WORK);
    fail_over(1, FAULT_WORK);
    fail_over(0, FAULT_BARRIER);
    fail_over(2, FAULT_BARRIER);
}

/* One that wants no more while its share is on disk: that is read back and dropped. */
static void test_what_nobody_wants_is_dropped_from_disk(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .instances = 2,
         .batches = UINT32_MAX,
         .rows_most = 200},
        {.name = "relay", .kind = FLOW_RELAY, .instances = 2},
        {.name = "sink", .kind = FLOW_SINK, .instances = 2, .naps_at = 20, .enough_after = 22},
    };
    static const struct flow_link_words links[] = {{.from = 0, .to = 1, .kind = FLETCH_FLOW_HASH},
                                                   {.from = 1, .to = 2, .kind = FLETCH_FLOW_HASH}};
    struct fletch_error error;
    (void)state;
    begin(nodes, links);
    (void)send_barriers();
    if (fletch_flow_wait(scene.flow, patience_ns, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const char *complaint = flow_scene_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
    assert_true(spilled() > 0);
    flow_scene_end(&scene);
    assert_no_file_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_spilled_comes_in_its_order),
        cmocka_unit_test(test_a_failure_in_the_middle_leaves_nothing),
        cmocka_unit_test(test_what_nobody_wants_is_dropped_from_disk),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
