#ifndef FLETCH_PUMP_ENVELOPE_H
#define FLETCH_PUMP_ENVELOPE_H

/* The messages of a pump as bytes: docs/format/wire.md. Numbers are little-endian; a message is a
 * header and what its kind says, and not a byte more. Decoding believes nothing: it refuses what it
 * does not know by name, and copies numbers; texts and the name stay where the bytes are. No
 * memory, no I/O. */

#include <fletching/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shuffle/control_record.h"

#define FLETCH_PUMP_COMMAND "fletch.pump.1"

enum {
    FLETCH_ENVELOPE_MAGIC = 0x4c46, /* "FL" */
    FLETCH_ENVELOPE_VERSION = 1,
    FLETCH_ENVELOPE_HEADER_BYTES = 8,
    FLETCH_ENVELOPE_BYTES_MAX = 32768,
    FLETCH_ENVELOPE_ENTRIES_MAX = 128, /* of a list */
    FLETCH_ENVELOPE_ANSWERS_MAX = 16,
    FLETCH_ENVELOPE_TEXT_MAX = 480,
    FLETCH_ENVELOPE_NAME_MAX = 255,
    FLETCH_ENVELOPE_METHOD_MAX = 64,
    FLETCH_ID_BYTES = 16
};

/* What both sides may use, by bit: FLETCH_FEATURES_KNOWN are those that this library has. */
enum {
    FLETCH_FEATURE_CRC32C = 1, /* DATA tells the CRC32C of its body: reserved */
    FLETCH_FEATURE_EAGER = 2,  /* small frames go without an offer */
    FLETCH_FEATURES_KNOWN = FLETCH_FEATURE_EAGER
};

enum fletch_envelope_kind {
    FLETCH_ENVELOPE_HELLO = 1,
    FLETCH_ENVELOPE_WELCOME = 2,
    FLETCH_ENVELOPE_OFFER = 3,
    FLETCH_ENVELOPE_DATA = 4,
    FLETCH_ENVELOPE_UPDATE = 5,
    FLETCH_ENVELOPE_GIVE_BACK = 6,
    FLETCH_ENVELOPE_CONTROL = 7,
    FLETCH_ENVELOPE_REFUSE = 8,
    FLETCH_ENVELOPE_BYE = 9,
    FLETCH_ENVELOPE_WANT = 10
};

enum fletch_pump_role { FLETCH_ROLE_SENDER = 0, FLETCH_ROLE_RECEIVER = 1 };

struct fletch_id {
    unsigned char bytes[FLETCH_ID_BYTES];
};

bool fletch_id_is_zero(const struct fletch_id *id);
bool fletch_id_equal(const struct fletch_id *a, const struct fletch_id *b);

/* 32 hexadecimal digits and a NUL. */
struct fletch_id_text {
    char text[2 * FLETCH_ID_BYTES + 1];
};
struct fletch_id_text fletch_id_text(const struct fletch_id *id);

/* A text or a name, where it lies. */
struct fletch_envelope_text {
    const char *bytes;
    uint32_t byte_count;
};

/* Of a string, as much as fits. */
struct fletch_envelope_text fletch_envelope_text(const char *string);

struct fletch_envelope_hello {
    uint8_t version_low;
    uint8_t version_high;
    uint8_t role; /* enum fletch_pump_role: the dialler's */
    uint8_t sums; /* enum fletch_sum_level */
    uint32_t features;
    uint32_t mandatory;
    uint32_t session; /* of the dialler's for this shuffle and role: which */
    uint32_t resumes; /* connections that this session has had before */
    uint32_t epoch;
    uint32_t partition_count;
    uint32_t producer_limit;
    uint64_t schema_fingerprint;
    uint64_t eager_bytes; /* a receiver's; else 0 */
    struct fletch_id id;
    struct fletch_id incarnation; /* the dialler's */
    struct fletch_id expected;    /* the other's, as far as it is known; else zeros */
    struct fletch_envelope_text name;
    struct fletch_envelope_text method;
};

struct fletch_envelope_welcome {
    uint8_t version;
    uint32_t features;
    uint64_t eager_bytes; /* the same */
    struct fletch_id incarnation;
};

/* Whose frames: one producer's to one partition. */
struct fletch_envelope_channel {
    uint32_t producer;
    uint32_t attempt;
    uint32_t partition;
};

struct fletch_envelope_offer {
    struct fletch_envelope_channel channel;
    uint64_t sequence;
    uint64_t bytes;
    uint64_t barrier;
};

struct fletch_envelope_data {
    struct fletch_envelope_channel channel;
    uint32_t crc32c;
    uint64_t sequence;
    uint64_t offset; /* bytes of the channel before it */
    uint64_t barrier;
    uint64_t rows;
    uint64_t bytes;
    uint64_t key_sum;
    uint64_t row_sum;
};

struct fletch_envelope_mark {
    struct fletch_envelope_channel channel;
    uint64_t sequence; /* accepted so far */
    uint64_t offset;   /* bytes of those */
    uint64_t grant;    /* the sender may send up to this offset */
};

/* What became of a producer's control. */
struct fletch_envelope_answer {
    uint32_t producer;
    uint32_t attempt;
    uint64_t sequence;
    uint32_t status; /* enum fletch_status */
    struct fletch_envelope_text text;
};

struct fletch_envelope_update {
    bool is_complete; /* after WELCOME: all that the receiver knew has been told */
    uint32_t mark_count;
    uint32_t answer_count;
    struct fletch_envelope_mark marks[FLETCH_ENVELOPE_ENTRIES_MAX];
    struct fletch_envelope_answer answers[FLETCH_ENVELOPE_ANSWERS_MAX];
};

struct fletch_envelope_offers {
    uint32_t count;
    struct fletch_envelope_offer offers[FLETCH_ENVELOPE_ENTRIES_MAX];
};

struct fletch_envelope_give_back {
    struct fletch_envelope_channel channel;
    uint64_t sequence; /* this frame and those after it will not come */
};

struct fletch_envelope_control {
    uint32_t producer;
    uint32_t attempt;
    uint64_t sequence;
    uint8_t kind;  /* enum fletch_control_kind */
    bool has_more; /* totals of the same control follow */
    uint64_t barrier;
    int64_t watermark;
    uint32_t added_producer;
    struct fletch_envelope_text reason;
    uint32_t totals_count; /* an end's */
    struct fletch_channel_record totals[FLETCH_ENVELOPE_ENTRIES_MAX];
};

enum fletch_refusal_scope {
    FLETCH_REFUSED_SHUFFLE = 0,
    FLETCH_REFUSED_PARTITION = 1,
    FLETCH_REFUSED_PRODUCER = 2,
    FLETCH_REFUSED_FRAME = 3 /* send the channel again from `sequence` on */
};

struct fletch_envelope_refuse {
    uint8_t scope;
    uint8_t status; /* enum fletch_status, not OK */
    struct fletch_envelope_channel channel;
    uint64_t sequence;
    struct fletch_envelope_text text;
};

struct fletch_envelope_want {
    uint32_t count;
    uint32_t partitions[FLETCH_ENVELOPE_ENTRIES_MAX];
};

struct fletch_envelope {
    enum fletch_envelope_kind kind;
    union {
        struct fletch_envelope_hello hello;
        struct fletch_envelope_welcome welcome;
        struct fletch_envelope_offers offers;
        struct fletch_envelope_data data;
        struct fletch_envelope_update update;
        struct fletch_envelope_give_back give_back;
        struct fletch_envelope_control control;
        struct fletch_envelope_refuse refuse;
        struct fletch_envelope_want want;
    };
};

/* Writes a message into FLETCH_ENVELOPE_BYTES_MAX bytes, and returns how many it has. Counts,
 * lengths and kinds are the caller's to keep within their limits. */
size_t fletch_envelope_encode(const struct fletch_envelope *envelope, uint8_t *bytes);

/* Reads a message. INVALID_ARGUMENT: it is none, with what is wrong and where; UNIMPLEMENTED: a
 * version, kind or flag that is not known, by its number. On failure nothing of `out_envelope` has
 * a meaning. */
enum fletch_status fletch_envelope_decode(const void *bytes, size_t byte_count,
                                          struct fletch_envelope *out_envelope,
                                          struct fletch_error *error);

/* "HELLO" and so on; "?". */
const char *fletch_envelope_kind_name(unsigned kind);

/* Names the lowest feature of a set: "CRC32C", or "bit 7". */
struct fletch_feature_text {
    char text[16];
};
struct fletch_feature_text fletch_feature_name(uint32_t features);

#endif
