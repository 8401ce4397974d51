/* Bytes between the marks that make them a file: read in order, in every way there is, and batch by
 * batch from the last one to the first. */

#include "fuzz/fuzz_target.h"

#include <string.h>

#include "fuzz/ipc_input.h"

static const char mark[] = "ARROW1\0";
enum { MARK_BYTES = 6, BEGIN_BYTES = 8 };

static struct ipc_input input;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fletch_error error;
    if (input.pool == NULL)
        ipc_input_start(&input);
    if (size < BEGIN_BYTES + MARK_BYTES)
        return 0;
    uint8_t *file = malloc(size);
    if (file == NULL)
        fuzz_stop("file", "no memory");
    memcpy(file, bytes, size);
    memcpy(file, mark, BEGIN_BYTES);
    memcpy(file + size - MARK_BYTES, mark, MARK_BYTES);
    (void)ipc_input_try(&input, file, size, &error);
    ipc_input_try_backwards(&input, file, size);
    free(file);
    return 0;
}
