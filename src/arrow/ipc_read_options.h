#ifndef FLETCH_ARROW_IPC_READ_OPTIONS_H
#define FLETCH_ARROW_IPC_READ_OPTIONS_H

#include <fletching/ipc_reader.h>

/* Checks the options and completes them. INVALID_ARGUMENT. */
enum fletch_status fletch_ipc_read_options_copy(struct fletch_ipc_read_options *known,
                                                const struct fletch_ipc_read_options *options,
                                                struct fletch_error *error);

#endif
