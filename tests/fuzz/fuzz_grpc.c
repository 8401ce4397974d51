#include <stdbool.h>

#include "fuzz/fuzz_target.h"
#include "fuzz/grpc_feed.h"

/* Any bytes, as those of a peer of gRPC. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool is_started;
    if (!is_started)
        grpc_feed_start();
    is_started = true;
    (void)grpc_feed_try(bytes, size);
    return 0;
}
