#ifndef FLETCH_ARROW_IPC_ENDIAN_H
#define FLETCH_ARROW_IPC_ENDIAN_H

/* Data that was written in the other order of bytes: every number of a buffer turned round in its
 * place. What is told about a buffer (metadata, the length in front of compressed bytes) is
 * little-endian always. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/type.h"

/* Whether a span of this kind has numbers of more than a byte: bits and bytes have no order. */
bool fletch_ipc_span_has_order(const struct fletch_type *type, enum fletch_span_kind kind);

/* Turns the numbers of `bytes` bytes at `data`, aligned to 8, of a span that has an order. A number
 * that is cut off at the end stays as it is. */
void fletch_ipc_span_turn(const struct fletch_type *type, enum fletch_span_kind kind, uint8_t *data,
                          size_t bytes);

#endif
