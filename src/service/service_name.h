#ifndef FLETCH_SERVICE_SERVICE_NAME_H
#define FLETCH_SERVICE_SERVICE_NAME_H

/* What descriptors and tickets name: `<partition>@<name>`, `@<name>`, a path of a shuffle and
 * perhaps a partition, or what a dialect reads. */

#include "service/service.h"

/* A shuffle, with a reference, and a partition that it has, or FLETCH_TICKET_WHOLE. */
struct fletch_service_target {
    struct fletch_shuffle *shuffle;
    uint32_t partition;
};

/* INVALID_ARGUMENT: it names nothing in any way that is known. Names point into what was given. */
enum fletch_status fletch_service_read_ticket(const struct fletch_service *service,
                                              const struct fletch_flight_bytes *bytes,
                                              struct fletch_shuffle_ticket *out_ticket,
                                              struct fletch_error *error);
enum fletch_status fletch_service_read_descriptor(const struct fletch_service *service,
                                                  const struct fletch_flight_descriptor *descriptor,
                                                  struct fletch_shuffle_ticket *out_ticket,
                                                  struct fletch_error *error);

/* NOT_FOUND: "UNKNOWN"; INVALID_ARGUMENT: a hash that fits several; OUT_OF_RANGE: no such
 * partition. */
enum fletch_status fletch_service_find(const struct fletch_service *service,
                                       const struct fletch_shuffle_ticket *ticket,
                                       struct fletch_service_target *out_target,
                                       struct fletch_error *error);

/* Bytes of the largest ticket. */
enum { FLETCH_SERVICE_TICKET_BYTES = FLETCH_SHUFFLE_NAME_BYTES_MAX + 12 };

/* Writes the ticket of a partition, or of the whole; returns its bytes. */
size_t fletch_service_write_ticket(const struct fletch_shuffle *shuffle, uint32_t partition,
                                   char out_ticket[FLETCH_SERVICE_TICKET_BYTES]);

#endif
