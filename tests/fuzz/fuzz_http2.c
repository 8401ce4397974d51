#include <stdbool.h>

#include "fuzz/fuzz_target.h"
#include "fuzz/http2_feed.h"

/* Any bytes, as those of a peer of HTTP/2. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool is_started;
    if (!is_started)
        http2_feed_start();
    is_started = true;
    (void)http2_feed_try(bytes, size);
    return 0;
}
