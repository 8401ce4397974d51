#ifndef FLETCH_PARTITION_MURMUR3_H
#define FLETCH_PARTITION_MURMUR3_H

/* spark-murmur3-42: the hash by which Apache Spark places rows. docs/format/hash.md, last section.
 */

#include "base/status.h"
#include "partition/hash.h"

#define FLETCH_MURMUR3_SEED UINT32_C(42)

/* UNIMPLEMENTED if Spark has no type like that of a key column or of a field below it; the message
 * names field and type. */
enum fletch_status fletch_murmur3_check(const struct fletch_schema *schema,
                                        struct fletch_hash_key key, struct fletch_error *error);

/* The hashes of rows by columns that passed the check. Any thread; does not allocate or fail. */
void fletch_murmur3_rows(const struct fletch_batch *batch, struct fletch_hash_key key,
                         struct fletch_row_range range, uint32_t *hashes);

#endif
