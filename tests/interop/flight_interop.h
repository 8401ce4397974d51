#ifndef TESTS_INTEROP_FLIGHT_INTEROP_H
#define TESTS_INTEROP_FLIGHT_INTEROP_H

/* What the integration server and client of Flight share: the flags that Arrow's own programs have,
 * and batches of one column. */

#include <fletching/fletching.h>
#include <fletching/flight_types.h>

/* Flags: -port N, -host NAME, -scenario NAME, -path FILE; also with two dashes and with "=". */
struct interop_flags {
    const char *host;     /* "127.0.0.1" */
    const char *scenario; /* "": the base case */
    const char *path;     /* NULL: none */
    unsigned port;
};

/* Ends the program where it knows a flag not. */
struct interop_flags interop_flags_parse(int argc, char **argv);

/* Ends the program unless `status` is OK. */
void interop_check(const char *what, enum fletch_status status, const struct fletch_error *error);

/* A schema of one nullable column `name` of a format of the C data interface; NULL: of none. With a
 * reference for the caller. */
struct fletch_schema *interop_schema(const char *name, const char *format);

/* The program's pool, which is there to its end. First called before there is another thread. */
struct fletch_buffer_pool *interop_pool(void);

/* Values of 32 bits each in a batch of that schema, by that pool. With a reference for the
 * caller. */
struct fletch_batch *interop_batch(struct fletch_schema *schema, const uint32_t *values,
                                   size_t count);

struct fletch_flight_bytes interop_text(const char *text);

bool interop_is(struct fletch_flight_bytes bytes, const char *text);

/* UTC, so many seconds from now. */
struct fletch_flight_time interop_time(int64_t seconds);

#endif
