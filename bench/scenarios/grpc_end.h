#ifndef BENCH_GRPC_END_H
#define BENCH_GRPC_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the ends of bench_grpc and bench_flight share, each a program for one implementation:
 *
 *   <program> serve [SPIN]         says its port, serves until it is killed
 *   <program> call PORT [SPIN]     carries out orders, a line each, and answers each by a line
 *
 *   stream BYTES COUNT   one call that brings COUNT messages:     seconds
 *   unary BYTES COUNT    calls one after the other:               p50 and p99, us
 *   connections COUNT    opens as many, with a call on each:      how many there are
 *   streams COUNT        calls that stay, on 8 connections:       how many have had an answer
 *   again                another message on each of these:        how many have had an answer
 *   put BYTES COUNT      one call that takes COUNT messages away: seconds
 *   two BYTES COUNT      `stream` twice at once, on a connection and a thread each: seconds
 *
 * SPIN is in nanoseconds: 0 the implementation's default, -1 none. */

#ifdef __cplusplus
extern "C" {
#endif

#define GRPC_END_DOWN "/bench.Bench/Down"   /* a request of two words: bytes, count */
#define GRPC_END_UNARY "/bench.Bench/Unary" /* a message and the same one back */
#define GRPC_END_ECHO "/bench.Bench/Echo"   /* any number of messages back */

enum { GRPC_END_CONNECTIONS = 8, GRPC_END_SMALL = 128, GRPC_END_COLUMNS = 4 };

struct grpc_end_down {
    uint64_t bytes;
    uint64_t count;
};

/* One implementation's client. Each returns false, or 0, where anything was wrong. NULL: it knows
 * no such order. */
struct grpc_end_client {
    bool (*stream)(void *context, const struct grpc_end_down *wanted);
    bool (*unary)(void *context, size_t bytes); /* one call */
    size_t (*connections)(void *context, size_t count);
    size_t (*streams)(void *context, size_t count);
    size_t (*again)(void *context);
    bool (*put)(void *context, const struct grpc_end_down *wanted);
    bool (*two)(void *context, const struct grpc_end_down *wanted);
    void *context;
};

/* Carries out orders from standard input until it ends. Returns the exit status. */
int grpc_end_obey(const struct grpc_end_client *client);

/* Ends this process with the one that started it; prints the port. */
void grpc_end_begin(void);
void grpc_end_say_port(unsigned port);

/* The bytes that message `index` of `bytes` bytes has: of 64 MiB that are gone through again and
 * again. */
const void *grpc_end_source(uint64_t index, size_t bytes);

/* Whether its first and its last KiB begin as they do there. */
bool grpc_end_is_right(const void *message, size_t bytes, uint64_t index);
/* The same of a batch whose columns are the four quarters of the message. */
bool grpc_end_columns_are_right(const void *first, const void *last, size_t bytes, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif
