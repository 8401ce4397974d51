/* Any bytes, read as a stream (or whatever they say they are) in every way there is. */

#include "fuzz/fuzz_target.h"
#include "fuzz/ipc_input.h"

static struct ipc_input input;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fletch_error error;
    if (input.pool == NULL)
        ipc_input_start(&input);
    (void)ipc_input_try(&input, bytes, size, &error);
    return 0;
}
