#ifndef FLETCH_GRPC_GRPC_TEXT_H
#define FLETCH_GRPC_GRPC_TEXT_H

/* How gRPC writes things into headers: messages in percent-encoding, binary values in base64, and
 * timeouts. Nothing here allocates. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that percent-encoding makes of `bytes` bytes. */
#define FLETCH_GRPC_PERCENT_BYTES(bytes) (3 * (bytes))

/* All but 0x20 to 0x7E, '%', and spaces at either end (which no field of HTTP/2 has there), as %XX.
 * Returns how many bytes were written. */
size_t fletch_grpc_percent_encode(const char *text, size_t bytes, char *out_text);

/* Never fails: what is no encoding stays as it is. At most `bytes` bytes; may be in place. */
size_t fletch_grpc_percent_decode(const char *text, size_t bytes, char *out_text);

#define FLETCH_GRPC_BASE64_BYTES(bytes) (((bytes)*4 + 2) / 3)

/* Without padding. Returns how many bytes were written. */
size_t fletch_grpc_base64_encode(const uint8_t *data, size_t bytes, char *out_text);

/* With or without padding. Writes at most 3/4 of `bytes`. False: it is no base64. */
bool fletch_grpc_base64_decode(const char *text, size_t bytes, uint8_t *out_data,
                               size_t *out_bytes);

/* "1500m": digits and a unit. */
enum { FLETCH_GRPC_TIMEOUT_BYTES = 12 };

/* Rounded up to what 8 digits can say; the largest: 99,999,999 hours. NUL-terminated. */
void fletch_grpc_timeout_write(uint64_t timeout_ns, char out_text[FLETCH_GRPC_TIMEOUT_BYTES]);

/* False: it is no timeout. One that does not fit is UINT64_MAX. */
bool fletch_grpc_timeout_read(const char *text, size_t bytes, uint64_t *out_timeout_ns);

#endif
