#ifndef FLETCH_TESTS_FUZZ_FLIGHT_STORE_FED_H
#define FLETCH_TESTS_FUZZ_FLIGHT_STORE_FED_H

#include <fletching/flight_server.h>

/* Handlers of a small store, on the loop, for a server whose clients may say anything: a put is
 * kept under the command, or the first part of the path, of its descriptor, and can be got and told
 * of by that name; an exchange sends all back; an action sends its body back ("drop": lets a table
 * go); a handshake sends each payload back. Their `user` is the store. */

enum { FED_TABLES = 4, FED_BATCHES = 8, FED_NAME_BYTES = 32 };

struct fed_table {
    char name[FED_NAME_BYTES];
    size_t name_bytes;
    struct fletch_schema *schema; /* NULL: no table */
    struct fletch_batch *batches[FED_BATCHES];
    uint32_t count;
};

struct fed_store {
    struct fletch_buffer_cache *cache;
    struct fed_table tables[FED_TABLES];
    uint32_t next;  /* that makes room */
    uint32_t going; /* sources */
    /* Since the beginning. */
    uint32_t kept;
    uint32_t batches_got;
    uint32_t batches_put;
};

extern const struct fletch_flight_handlers fed_store_handlers;

/* Lets all tables go. */
void fed_store_clear(struct fed_store *store);

#endif
