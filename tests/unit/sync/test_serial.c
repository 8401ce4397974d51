#include "sync/serial.h"

#include <stdlib.h>

#include "support/cmocka_tests.h"

/* What a serial promises on one thread; several: stress_serial, model_serial. */

enum { ORDER_MOST = 16 };

struct notebook {
    struct fletch_serial serial;
    int order[ORDER_MOST];
    int count;
    int depth;
};

struct task {
    struct fletch_serial_task task; /* first */
    int number;
    struct task *submits[2]; /* NULL: none */
};

static void note(void *context, struct fletch_serial_task *serial_task)
{
    struct notebook *notebook = context;
    struct task *task = (struct task *)(void *)serial_task;
    assert_int_equal(notebook->depth++, 0);
    assert_true(notebook->count < ORDER_MOST);
    notebook->order[notebook->count++] = task->number;
    for (int i = 0; i < 2; i++)
        if (task->submits[i] != NULL)
            fletch_serial_submit(&notebook->serial, &task->submits[i]->task);
    notebook->depth--;
}

static void a_task_runs_before_submit_returns(void **state)
{
    struct notebook notebook = {.count = 0};
    struct task task = {.task = {.run = note}, .number = 7};
    (void)state;
    fletch_serial_init(&notebook.serial, &notebook);
    for (int i = 1; i <= 3; i++) {
        fletch_serial_submit(&notebook.serial, &task.task);
        assert_int_equal(notebook.count, i);
        assert_int_equal(notebook.order[i - 1], 7);
    }
}

/* Depth 0 in each task shows that none is run inside another. */
static void tasks_that_a_task_submits_run_after_it_in_order(void **state)
{
    struct notebook notebook = {.count = 0};
    struct task tasks[5];
    (void)state;
    fletch_serial_init(&notebook.serial, &notebook);
    for (int i = 0; i < 5; i++)
        tasks[i] = (struct task){.task = {.run = note}, .number = i};
    tasks[0].submits[0] = &tasks[1];
    tasks[0].submits[1] = &tasks[2];
    tasks[1].submits[0] = &tasks[3];
    tasks[1].submits[1] = &tasks[4];
    fletch_serial_submit(&notebook.serial, &tasks[0].task);
    assert_int_equal(notebook.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(notebook.order[i], i);
}

static void submit_again(void *context, struct fletch_serial_task *task)
{
    struct notebook *notebook = context;
    if (++notebook->count < 1000)
        fletch_serial_submit(&notebook->serial, task);
}

static void a_task_may_submit_itself_again(void **state)
{
    struct notebook notebook = {.count = 0};
    struct fletch_serial_task task = {.run = submit_again};
    (void)state;
    fletch_serial_init(&notebook.serial, &notebook);
    fletch_serial_submit(&notebook.serial, &task);
    assert_int_equal(notebook.count, 1000);
}

static void free_task(void *context, struct fletch_serial_task *task)
{
    ((struct notebook *)context)->count++;
    free(task);
}

static void a_task_may_be_freed_by_its_run(void **state)
{
    struct notebook notebook = {.count = 0};
    (void)state;
    fletch_serial_init(&notebook.serial, &notebook);
    for (int i = 0; i < 2; i++) {
        struct fletch_serial_task *task = malloc(sizeof *task);
        assert_non_null(task);
        task->run = free_task;
        fletch_serial_submit(&notebook.serial, task);
    }
    assert_int_equal(notebook.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_runs_before_submit_returns),
        cmocka_unit_test(tasks_that_a_task_submits_run_after_it_in_order),
        cmocka_unit_test(a_task_may_submit_itself_again),
        cmocka_unit_test(a_task_may_be_freed_by_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
