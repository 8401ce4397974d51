#include "arrow/ipc_read_options.h"

#include "base/options.h"
#include "base/status.h"

enum fletch_status fletch_ipc_read_options_copy(struct fletch_ipc_read_options *known,
                                                const struct fletch_ipc_read_options *options,
                                                struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status != FLETCH_OK)
        return status;
    if (known->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "option cache is NULL");
    if ((unsigned)known->validation > FLETCH_VALIDATION_FULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option validation is %d, expected 0 to %d", (int)known->validation,
                                FLETCH_VALIDATION_FULL);
    if (known->validation == FLETCH_VALIDATION_DEFAULT)
        known->validation = FLETCH_VALIDATION_OFFSETS;
    if (known->field_limit == 0)
        known->field_limit = FLETCH_IPC_FIELDS_DEFAULT;
    if (known->metadata_limit_bytes == 0)
        known->metadata_limit_bytes = FLETCH_IPC_METADATA_BYTES_DEFAULT;
    if (known->body_limit_bytes == 0)
        known->body_limit_bytes = FLETCH_IPC_BODY_BYTES_DEFAULT;
    if (known->body_limit_bytes > FLETCH_BUFFER_BYTES_MAX)
        known->body_limit_bytes = FLETCH_BUFFER_BYTES_MAX;
    if (known->body_step_bytes == 0)
        known->body_step_bytes = FLETCH_IPC_BODY_STEP_BYTES_DEFAULT;
    return FLETCH_OK;
}
