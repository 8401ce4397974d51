#include "fuzz/ipc_input.h"

/* For libFuzzer: any bytes, read as IPC. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct ipc_input input;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fletch_error error;
    if (input.pool == NULL)
        ipc_input_start(&input);
    (void)ipc_input_try(&input, bytes, size, &error);
    return 0;
}
