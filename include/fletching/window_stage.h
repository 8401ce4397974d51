#ifndef FLETCHING_WINDOW_STAGE_H
#define FLETCHING_WINDOW_STAGE_H

#include <stddef.h>

#include <fletching/flow_stage.h>
#include <fletching/schema.h>
#include <fletching/window.h>

FLETCH_BEGIN_DECLS

/** Windows as a stage of a flow: the argument of a stage that has the functions below. Everything
 *  is read by each instance when it is made, and must live that long. */
struct fletch_window_stage {
    size_t struct_size;
    /** Required: of the batches that come. */
    struct fletch_schema *schema;
    /** Required; their cache is that of the instance's thread. While the account is full the stage
     *  waits, and its inputs with it; after memory_timeout_ns of the flow it fails with what the
     *  account says: which one is full, and who holds most of it. Too many open panes fail it at
     *  once, since no watermark can come past the batch that needs them. */
    const struct fletch_windows_options *windows;
    /** Is handed what the windows give out, in their order, and emits what comes of it. The batch
     *  is the stage's. Shared by all instances, which fletch_flow_context_instance tells apart.
     *  NULL: rows of windows are sent to output 0; late ones and those without time to output 1,
     *  which the stage must have. */
    enum fletch_status (*on_rows)(struct fletch_flow_context *context, void *argument,
                                  const struct fletch_window_rows *rows,
                                  struct fletch_error *error);
    void *argument;
};

/** The functions of such a stage. Windows are closed by the flow's watermarks, and the last of them
 *  before the stage finishes. Static. Any thread. */
FLETCH_EXPORT const struct fletch_flow_functions *fletch_window_stage_functions(void);

FLETCH_END_DECLS

#endif
