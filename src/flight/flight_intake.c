#include "flight/flight_intake.h"

#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "memory/buffer.h"

/* A block for the message and the heads of a usual one. */
enum { BLOCK_BYTES = 2048, BODY_ALIGNMENT = 64, KEY_FIRST = 16, KEY_MORE = 8 };
enum { BODY_NUMBER = 1000 };

static enum fletch_status refuse(const char *what, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a FlightData %s", what);
}

/* The message lies where its block begins. */
static uint8_t *block_data(const struct fletch_flight_intake *intake)
{
    return (uint8_t *)intake->incoming;
}

/* ---- the body ---- */

/* Memory for the body's next bytes: `field_left` are to come. */
static enum fletch_status grow_body(struct fletch_flight_intake *intake, struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = intake->incoming;
    size_t all = intake->body_filled + intake->field_left;
    size_t bytes = intake->body_filled == 0 ? intake->step_bytes : 2 * intake->body_filled;
    struct fletch_buffer *larger;
    if (bytes > all)
        bytes = all;
    enum fletch_status status =
        fletch_buffer_allocate(intake->memory.cache, bytes, intake->memory.account, &larger, error);
    if (status != FLETCH_OK)
        return status;
    if (intake->body_filled != 0)
        memcpy(fletch_buffer_mutable_data(larger), fletch_buffer_data(incoming->body),
               intake->body_filled);
    fletch_buffer_release(intake->memory.cache, incoming->body);
    incoming->body = larger;
    return FLETCH_OK;
}

static enum fletch_status begin_body(struct fletch_flight_intake *intake, size_t bytes,
                                     struct fletch_error *error)
{
    fletch_buffer_release(intake->memory.cache, intake->incoming->body);
    intake->incoming->body = NULL;
    intake->incoming->body_bytes = bytes;
    intake->target = FLETCH_FLIGHT_TARGET_BODY;
    intake->field_left = bytes;
    intake->body_filled = 0;
    return bytes == 0 ? FLETCH_OK : grow_body(intake, error);
}

/* ---- beginning and end ---- */

enum fletch_status fletch_flight_intake_begin(struct fletch_flight_intake *intake, bool is_data,
                                              size_t bytes, struct fletch_error *error)
{
    bool is_whole = bytes <= FLETCH_FLIGHT_SMALL_BYTES;
    size_t room = sizeof *intake->incoming + bytes + 1 + 2 * (size_t)BODY_ALIGNMENT;
    struct fletch_buffer *block;
    enum fletch_status status = fletch_buffer_allocate(
        intake->memory.cache, is_whole ? room : BLOCK_BYTES, intake->memory.account, &block, error);
    if (status != FLETCH_OK)
        return status;
    intake->incoming = (void *)fletch_buffer_mutable_data(block);
    *intake->incoming = (struct fletch_flight_incoming){.block = block, .message_bytes = bytes};
    intake->left_bytes = bytes;
    intake->key_filled = 0;
    intake->room_used = sizeof *intake->incoming;
    if (is_whole) /* to where its body lies right if it begins where the last one's did */
        intake->room_used = fletch_round_up(intake->room_used + intake->last_body, BODY_ALIGNMENT) -
                            intake->last_body;
    intake->target = is_whole ? FLETCH_FLIGHT_TARGET_WHOLE : FLETCH_FLIGHT_TARGET_KEY;
    intake->to = block_data(intake) + intake->room_used;
    intake->field_left = bytes;
    return is_whole || is_data ? FLETCH_OK : begin_body(intake, bytes, error);
}

void fletch_flight_intake_drop(struct fletch_flight_intake *intake)
{
    fletch_flight_incoming_free(intake->memory.cache, intake->incoming);
    intake->incoming = NULL;
}

/* ---- fields of a large message ---- */

/* A NUL stands behind each head. */
static enum fletch_status begin_head(struct fletch_flight_intake *intake, unsigned head,
                                     size_t bytes, struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = intake->incoming;
    struct fletch_buffer **buffer = &incoming->head_buffers[head];
    enum fletch_status status = FLETCH_OK;
    if (bytes > FLETCH_FLIGHT_HEAD_BYTES_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field %u of a FlightData has %zu bytes, at most %zu", head + 1,
                                bytes, FLETCH_FLIGHT_HEAD_BYTES_MOST);
    fletch_buffer_release(intake->memory.cache, *buffer);
    *buffer = NULL;
    if (bytes < BLOCK_BYTES - intake->room_used) {
        intake->to = block_data(intake) + intake->room_used;
        intake->room_used += bytes + 1;
    } else {
        status = fletch_buffer_allocate(intake->memory.cache, bytes + 1, intake->memory.account,
                                        buffer, error);
        if (status != FLETCH_OK)
            return status;
        intake->to = fletch_buffer_mutable_data(*buffer);
    }
    intake->to[bytes] = 0;
    incoming->heads[head] = (struct fletch_flight_bytes){intake->to, bytes};
    intake->target = FLETCH_FLIGHT_TARGET_HEAD;
    intake->field_left = bytes;
    return status;
}

static enum fletch_status begin_field(struct fletch_flight_intake *intake, uint64_t number,
                                      size_t bytes, struct fletch_error *error)
{
    if (number == BODY_NUMBER)
        return begin_body(intake, bytes, error);
    if (number <= FLETCH_FLIGHT_HEADS)
        return begin_head(intake, (unsigned)number - 1, bytes, error);
    intake->target = FLETCH_FLIGHT_TARGET_SKIP;
    intake->field_left = bytes;
    return FLETCH_OK;
}

/* `bytes` bytes of the field, which lie at `from` and not in their place. */
static void put(struct fletch_flight_intake *intake, const uint8_t *from, size_t bytes)
{
    if (intake->target == FLETCH_FLIGHT_TARGET_HEAD)
        memcpy(intake->to, from, bytes);
    else if (intake->target == FLETCH_FLIGHT_TARGET_BODY && bytes != 0)
        memcpy(fletch_buffer_mutable_data(intake->incoming->body) + intake->body_filled, from,
               bytes);
}

static enum fletch_status advance(struct fletch_flight_intake *intake, size_t bytes,
                                  struct fletch_error *error)
{
    intake->field_left -= bytes;
    if (intake->target == FLETCH_FLIGHT_TARGET_HEAD || intake->target == FLETCH_FLIGHT_TARGET_WHOLE)
        intake->to += bytes;
    if (intake->target != FLETCH_FLIGHT_TARGET_BODY)
        return FLETCH_OK;
    intake->body_filled += bytes;
    bool is_full = intake->body_filled == fletch_buffer_bytes(intake->incoming->body);
    return is_full && intake->field_left != 0 ? grow_body(intake, error) : FLETCH_OK;
}

/* ---- keys ---- */

enum parsed { PARSED_FIELD, PARSED_NUMBER, PARSED_MORE, PARSED_BAD };

/* A key at `*at`, and the length of what it is of or, of a number, that number. */
static enum parsed parse_key(const uint8_t **at, const uint8_t *end, uint64_t *out_number,
                             uint64_t *out_bytes)
{
    const uint8_t *next = *at;
    uint64_t key;
    if (!fletch_flight_varint_read(&next, end, &key))
        return end - *at < FLETCH_FLIGHT_VARINT_BYTES ? PARSED_MORE : PARSED_BAD;
    if (!fletch_flight_wire_key_is_valid(key))
        return PARSED_BAD;
    unsigned type = (unsigned)(key & 7);
    size_t fixed = type == FLETCH_FLIGHT_WIRE_64 ? 8 : type == FLETCH_FLIGHT_WIRE_32 ? 4 : 0;
    *out_number = key >> 3;
    if (fixed != 0) {
        if ((size_t)(end - next) < fixed)
            return PARSED_MORE;
        *at = next + fixed;
        return PARSED_NUMBER;
    }
    const uint8_t *value = next;
    if (!fletch_flight_varint_read(&next, end, out_bytes))
        return end - value < FLETCH_FLIGHT_VARINT_BYTES ? PARSED_MORE : PARSED_BAD;
    *at = next;
    return type == FLETCH_FLIGHT_WIRE_BYTES ? PARSED_FIELD : PARSED_NUMBER;
}

/* Takes one key and what of its field has come with it. `*at` moves. */
static enum fletch_status take_key(struct fletch_flight_intake *intake, const uint8_t **at,
                                   const uint8_t *end, enum parsed *out_parsed,
                                   struct fletch_error *error)
{
    uint64_t number = 0, bytes = 0;
    *out_parsed = parse_key(at, end, &number, &bytes);
    if (*out_parsed == PARSED_BAD || (*out_parsed == PARSED_MORE && intake->left_bytes == 0))
        return refuse("is malformed", error);
    if (*out_parsed != PARSED_FIELD)
        return FLETCH_OK;
    size_t here = (size_t)(end - *at);
    if (bytes > here + intake->left_bytes)
        return refuse("has a field that is longer than the message", error);
    enum fletch_status status = begin_field(intake, number, (size_t)bytes, error);
    size_t taken = here < bytes ? here : (size_t)bytes;
    /* A body's memory may be less than what has come with its key only if a test made it so. */
    while (status == FLETCH_OK && taken != 0) {
        size_t room = intake->target == FLETCH_FLIGHT_TARGET_BODY
                          ? fletch_buffer_bytes(intake->incoming->body) - intake->body_filled
                          : taken;
        size_t now = taken < room ? taken : room;
        put(intake, *at, now);
        *at += now;
        taken -= now;
        status = advance(intake, now, error);
    }
    return status;
}

static enum fletch_status take_keys(struct fletch_flight_intake *intake, struct fletch_error *error)
{
    const uint8_t *at = intake->key;
    const uint8_t *end = intake->key + intake->key_filled;
    enum parsed parsed = PARSED_FIELD;
    enum fletch_status status = FLETCH_OK;
    intake->field_left = 0;
    while (status == FLETCH_OK && at < end && parsed != PARSED_MORE)
        status = take_key(intake, &at, end, &parsed, error);
    if (status != FLETCH_OK)
        return status;
    intake->key_filled = (size_t)(end - at);
    memmove(intake->key, at, intake->key_filled);
    if (intake->field_left == 0)
        intake->target = FLETCH_FLIGHT_TARGET_KEY;
    return FLETCH_OK;
}

/* ---- places ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

struct iovec fletch_flight_intake_place(struct fletch_flight_intake *intake)
{
    struct fletch_buffer *body = intake->incoming->body;
    switch (intake->target) {
    case FLETCH_FLIGHT_TARGET_KEY:
        intake->key_left =
            smaller(intake->left_bytes, intake->key_filled == 0 ? KEY_FIRST : KEY_MORE);
        return (struct iovec){intake->key + intake->key_filled, intake->key_left};
    case FLETCH_FLIGHT_TARGET_BODY:
        return (struct iovec){fletch_buffer_mutable_data(body) + intake->body_filled,
                              fletch_buffer_bytes(body) - intake->body_filled};
    case FLETCH_FLIGHT_TARGET_SKIP:
        return (struct iovec){intake->skip, smaller(intake->field_left, sizeof intake->skip)};
    case FLETCH_FLIGHT_TARGET_HEAD:
    case FLETCH_FLIGHT_TARGET_WHOLE:
        break;
    }
    return (struct iovec){intake->to, intake->field_left};
}

enum fletch_status fletch_flight_intake_filled(struct fletch_flight_intake *intake, size_t bytes,
                                               struct fletch_error *error)
{
    intake->left_bytes -= bytes;
    if (intake->target == FLETCH_FLIGHT_TARGET_KEY) {
        intake->key_filled += bytes;
        intake->key_left -= bytes;
        return intake->key_left == 0 ? take_keys(intake, error) : FLETCH_OK;
    }
    enum fletch_status status = advance(intake, bytes, error);
    if (intake->field_left == 0 && intake->target != FLETCH_FLIGHT_TARGET_WHOLE)
        intake->target = FLETCH_FLIGHT_TARGET_KEY;
    return status;
}

/* ---- small messages ---- */

/* Where a body lies in the block, it is moved on to the next border, over nothing but itself; one
 * with something behind it gets a buffer of its own. */
static enum fletch_status settle_body(struct fletch_flight_intake *intake,
                                      const struct fletch_flight_wire_field *field,
                                      struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = intake->incoming;
    uint8_t *block = block_data(intake);
    size_t at = (size_t)(field->data - block);
    size_t end = intake->room_used + incoming->message_bytes;
    incoming->body_bytes = field->value;
    if (field->value == 0)
        return FLETCH_OK;
    if (at + field->value == end) {
        intake->last_body = at - intake->room_used;
        incoming->body_offset = fletch_round_up(at, BODY_ALIGNMENT);
        if (incoming->body_offset != at)
            memmove(block + incoming->body_offset, block + at, field->value);
        incoming->body = fletch_buffer_acquire(incoming->block);
        return FLETCH_OK;
    }
    enum fletch_status status = fletch_buffer_allocate(
        intake->memory.cache, field->value, intake->memory.account, &incoming->body, error);
    if (status == FLETCH_OK)
        memcpy(fletch_buffer_mutable_data(incoming->body), field->data, field->value);
    return status;
}

/* Ends a head with NUL: what stood there was the next field's key, which has been read. */
static void end_heads(struct fletch_flight_incoming *incoming, uint8_t *block)
{
    for (size_t i = 0; i < FLETCH_FLIGHT_HEADS; i++)
        if (incoming->heads[i].data != NULL)
            block[(size_t)((const uint8_t *)incoming->heads[i].data - block) +
                  incoming->heads[i].bytes] = 0;
}

static enum fletch_status take_apart(struct fletch_flight_intake *intake,
                                     struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = intake->incoming;
    struct fletch_flight_wire wire =
        fletch_flight_wire_of(block_data(intake) + intake->room_used, incoming->message_bytes);
    struct fletch_flight_wire_field field, body = {.data = NULL};
    while (fletch_flight_wire_next(&wire, &field)) {
        if (field.type != FLETCH_FLIGHT_WIRE_BYTES)
            continue;
        if (field.number <= FLETCH_FLIGHT_HEADS)
            incoming->heads[field.number - 1] =
                (struct fletch_flight_bytes){field.data, field.value};
        else if (field.number == BODY_NUMBER)
            body = field;
    }
    if (wire.is_broken)
        return refuse("is malformed", error);
    enum fletch_status status = body.data == NULL ? FLETCH_OK : settle_body(intake, &body, error);
    if (status == FLETCH_OK)
        end_heads(incoming, block_data(intake));
    return status;
}

enum fletch_status fletch_flight_intake_take(struct fletch_flight_intake *intake, bool is_data,
                                             struct fletch_flight_incoming **out_incoming,
                                             struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = intake->incoming;
    enum fletch_status status = FLETCH_OK;
    if (intake->target == FLETCH_FLIGHT_TARGET_WHOLE && is_data)
        status = take_apart(intake, error);
    else if (!is_data)
        incoming->heads[FLETCH_FLIGHT_HEAD_HEADER] = (struct fletch_flight_bytes){
            incoming->body != NULL ? fletch_buffer_data(incoming->body)
                                   : block_data(intake) + intake->room_used,
            incoming->message_bytes};
    if (status != FLETCH_OK)
        return status;
    intake->incoming = NULL;
    *out_incoming = incoming;
    return FLETCH_OK;
}
