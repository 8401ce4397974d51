#include "sync/serial.h"

#include <stddef.h>

/* The head while a runner has taken everything; nobody's task. */
static struct fletch_serial_task running_mark;

void fletch_serial_init(struct fletch_serial *serial, void *context)
{
    serial->context = context;
    store_relaxed(&serial->head, NULL); /* relaxed: nobody else knows the serial yet */
}

/* Turns the list from `task` to the mark or NULL around. */
static struct fletch_serial_task *reversed(struct fletch_serial_task *task)
{
    struct fletch_serial_task *first = NULL;
    while (task != NULL) {
        struct fletch_serial_task *next = task->next;
        task->next = first;
        first = task;
        task = next;
    }
    return first;
}

static void run_all(struct fletch_serial *serial, struct fletch_serial_task *task)
{
    while (task != NULL) {
        struct fletch_serial_task *next = task->next;
        task->run(serial->context, task);
        task = next;
    }
}

/* Runs what is left with the caller, who has made the serial a running one, until nothing is. */
static void run_until_idle(struct fletch_serial *serial)
{
    for (;;) {
        struct fletch_serial_task *head = &running_mark;
        if (cas_strong_release(&serial->head, &head, NULL)) /* E2 release */
            return;
        run_all(serial, reversed(exchange_acquire(&serial->head, &running_mark))); /* E1 acquire */
    }
}

void fletch_serial_submit(struct fletch_serial *serial, struct fletch_serial_task *task)
{
    /* relaxed: only compared and linked to, never looked into */
    struct fletch_serial_task *head = load_relaxed(&serial->head);
    for (;;) {
        if (head == NULL) {
            if (cas_weak_acquire(&serial->head, &head, &running_mark)) /* E2 acquire */
                break;
        } else {
            task->next = head == &running_mark ? NULL : head;
            if (cas_weak_release(&serial->head, &head, task)) /* E1 release */
                return;
        }
    }
    task->run(serial->context, task);
    run_until_idle(serial);
}
