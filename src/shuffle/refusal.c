#include "shuffle/refusal.h"

#include <stdio.h>

#include "base/allocator.h"
#include "shuffle/shuffle.h"

struct fletch_refusal *fletch_refusal_create(struct fletch_shuffle *shuffle)
{
    struct fletch_refusal *refusal = fletch_block_allocate(&shuffle->allocator, sizeof *refusal);
    if (refusal != NULL)
        *refusal = (struct fletch_refusal){.shuffle = shuffle};
    return refusal;
}

const struct fletch_refusal *fletch_refusal_without_memory(enum fletch_status status)
{
    static const struct fletch_refusal lost = {
        .status = FLETCH_UNAVAILABLE,
        .text = "UNAVAILABLE: another process takes no more; no memory for its reason"};
    static const struct fletch_refusal broken = {
        .status = FLETCH_DATA_LOSS,
        .text = "DATA_LOSS: another process takes no more; no memory for its reason"};
    return status == FLETCH_DATA_LOSS ? &broken : &lost;
}

void fletch_refusal_fill(struct fletch_refusal *refusal, enum fletch_status status,
                         const char *text)
{
    refusal->status = status;
    (void)snprintf(refusal->text, sizeof refusal->text, "%s", text == NULL ? "" : text);
}

static void run_keep(void *context, struct fletch_serial_task *task)
{
    struct fletch_refusal *refusal = (struct fletch_refusal *)(void *)task;
    (void)context;
    refusal->next = refusal->shuffle->refusals;
    refusal->shuffle->refusals = refusal;
}

void fletch_refusal_keep(struct fletch_shuffle *shuffle, struct fletch_refusal *refusal)
{
    refusal->task.run = run_keep;
    fletch_serial_submit(fletch_coordinator_serial(shuffle->coordinator), &refusal->task);
}

void fletch_refusal_free(struct fletch_refusal *refusal)
{
    if (refusal != NULL)
        fletch_block_release(refusal);
}
