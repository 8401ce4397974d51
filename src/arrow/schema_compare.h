#ifndef FLETCH_ARROW_SCHEMA_COMPARE_H
#define FLETCH_ARROW_SCHEMA_COMPARE_H

/* Equality and fingerprints of schemas. The fingerprint is FNV-1a of 128 bits (Fowler, Noll, Vo)
 * over the canonical form that docs/ARROW.md specifies. */

#include "arrow/schema.h"

/* FNV-1a of 128 bits: begin with the offset basis, add bytes. */
#define FLETCH_FINGERPRINT_BASIS \
    ((struct fletch_fingerprint){UINT64_C(0x6c62272e07bb0142), UINT64_C(0x62b821756295c58d)})

void fletch_fingerprint_add(struct fletch_fingerprint *fingerprint, const void *bytes,
                            size_t byte_count);

#endif
