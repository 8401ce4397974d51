#include <fletching/window_stage.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"
#include "flow/flow_context.h"

/* Outputs where the stage has no function of its own. */
enum { OUTPUT_ROWS, OUTPUT_SIDES };

struct window_state {
    struct fletch_window_stage stage;
    struct fletch_windows *windows;
    bool is_taken; /* the batch that is processed, but for rows that wait for memory */
};

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    struct fletch_window_stage stage;
    enum fletch_status status =
        fletch_options_copy(&stage, sizeof stage, argument, sizeof stage, error);
    if (status != FLETCH_OK)
        return status;
    if (stage.schema == NULL || stage.windows == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a stage of windows without schema or windows");
    if (stage.on_rows == NULL && context->node->output_count <= OUTPUT_SIDES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "output_count of '%s', a stage of windows without on_rows, is %u, "
                                "expected %d: late rows and those without time go to output %d",
                                context->node->name, context->node->output_count, OUTPUT_SIDES + 1,
                                OUTPUT_SIDES);
    struct fletch_windows_options options;
    status = fletch_options_copy(&options, sizeof options, stage.windows, sizeof options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    struct window_state *state = fletch_block_allocate(&allocator, sizeof *state);
    if (state == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for windows");
    *state = (struct window_state){.stage = stage};
    options.cache = fletch_flow_context_cache(context);
    status = fletch_windows_create(stage.schema, &options, &allocator, &state->windows, error);
    if (status != FLETCH_OK) {
        fletch_block_release(state);
        return status;
    }
    *out_state = state;
    return FLETCH_OK;
}

/* The account is full; after the flow's time for that it is said who has what. */
static enum fletch_status wait_for_room(struct fletch_flow_context *context,
                                        const struct window_state *state,
                                        struct fletch_error *error)
{
    struct fletch_window_statistics held = {.struct_size = sizeof held};
    enum fletch_status status = fletch_flow_wait_for_memory(context, error);
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return status;
    fletch_windows_statistics(state->windows, &held);
    struct fletch_error cause = *error;
    return fletch_error_set(error, status, "%.380s; %u panes are open here", cause.message,
                            held.panes_open);
}

static enum fletch_status process(struct fletch_flow_context *context, void *argument,
                                  uint32_t input, struct fletch_batch *batch,
                                  struct fletch_error *error)
{
    struct window_state *state = argument;
    enum fletch_status status = FLETCH_OK;
    (void)input;
    if (state->is_taken)
        status = fletch_windows_resume(state->windows, error);
    else
        status = fletch_windows_push(state->windows, batch, &state->is_taken, error);
    /* What is not taken lacks no room in the account: panes, which only a watermark closes. */
    if (status == FLETCH_RESOURCE_EXHAUSTED && state->is_taken)
        return wait_for_room(context, state, error);
    state->is_taken = false;
    return status;
}

static enum fletch_status give_out(struct fletch_flow_context *context,
                                   const struct window_state *state,
                                   const struct fletch_window_rows *rows,
                                   struct fletch_error *error)
{
    if (state->stage.on_rows != NULL)
        return state->stage.on_rows(context, state->stage.argument, rows, error);
    return fletch_flow_emit(context, rows->kind == FLETCH_WINDOW_ROWS ? OUTPUT_ROWS : OUTPUT_SIDES,
                            rows->batch, error);
}

static enum fletch_status on_watermark(struct fletch_flow_context *context, void *argument,
                                       int64_t watermark, struct fletch_error *error)
{
    const struct window_state *state = argument;
    struct fletch_window_rows rows = {.kind = FLETCH_WINDOW_NONE};
    fletch_windows_advance(state->windows, watermark);
    for (;;) {
        enum fletch_status status = fletch_windows_next(state->windows, &rows, error);
        if (status == FLETCH_RESOURCE_EXHAUSTED)
            return wait_for_room(context, state, error);
        if (status != FLETCH_OK || rows.kind == FLETCH_WINDOW_NONE)
            return status;
        status = give_out(context, state, &rows, error);
        fletch_batch_release(fletch_flow_context_cache(context), rows.batch);
        if (status != FLETCH_OK)
            return status;
    }
}

static void end(struct fletch_flow_context *context, void *argument)
{
    struct window_state *state = argument;
    (void)context;
    fletch_windows_destroy(state->windows);
    fletch_block_release(state);
}

const struct fletch_flow_functions *fletch_window_stage_functions(void)
{
    static const struct fletch_flow_functions functions = {
        .struct_size = sizeof functions,
        .init = begin,
        .process = process,
        .on_watermark = on_watermark,
        .close = end,
    };
    return &functions;
}
