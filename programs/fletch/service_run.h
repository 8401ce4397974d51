#ifndef FLETCH_PROGRAM_SERVICE_RUN_H
#define FLETCH_PROGRAM_SERVICE_RUN_H

#include <stdint.h>

#include <fletching/shuffle_client.h>
#include <fletching/transport.h>

#include "command_line.h"
#include "text.h"

/* A shuffle service as one command asks it. */
struct service_run {
    const struct command_usage *usage;
    const char *location;
    uint64_t timeout_ns; /* of each question; 0: the library's */
    struct fletch_transport *transport;
    struct fletch_shuffle_client *client;
};

/* Makes a client; connects nowhere yet. To be ended whatever the outcome. */
enum outcome service_begin(struct service_run *run, const struct command_usage *usage,
                           const char *location, uint64_t seconds);
void service_end(struct service_run *run);

/* An error of a question. */
enum outcome service_tell(const struct service_run *run, const struct fletch_error *error);

/* The shuffle that a word names, its bytes appended to `bytes`: as they are, or 0x and hexadecimal
 * digits. */
enum outcome service_parse_name(const struct command_usage *usage, const char *word,
                                struct text *bytes);

/* Where a shuffle is: `bytes` as service_parse_name has made them. */
struct fletch_shuffle_address service_address(const struct service_run *run,
                                              const struct text *bytes);

/* Asks for the report of one shuffle, or, where `bytes` has none, of all, by name. */
enum fletch_status service_report(const struct service_run *run, const struct text *bytes,
                                  struct fletch_shuffle_reports *out_reports,
                                  struct fletch_error *error);

#endif
