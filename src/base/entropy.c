#include "base/entropy.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

/* What the system gives at once, or not at all. */
enum { AT_ONCE = 256 };

bool fletch_entropy_fill(void *bytes, size_t count)
{
    ssize_t got;
    FLETCH_ASSERT(count <= AT_ONCE);
    do {
        got = getrandom(bytes, count, 0);
    } while (got < 0 && errno == EINTR);
    return got >= 0 && (size_t)got == count;
}
