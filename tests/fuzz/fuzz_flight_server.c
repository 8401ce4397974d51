/* Any bytes, as those of a client of Flight. */

#include <stdbool.h>

#include "fuzz/flight_feed.h"
#include "fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool is_started;
    if (!is_started)
        flight_feed_start();
    is_started = true;
    (void)flight_feed_try(bytes, size);
    return 0;
}
