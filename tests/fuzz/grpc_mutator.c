#include "fuzz/grpc_mutator.h"

#include <stdbool.h>
#include <string.h>

#include "fuzz/talk.h"
#include "http2/http2_parser.h"

enum { FRAMES_MOST = 1024, PREFIX_BYTES = 5, PART_MOST = 64, KEPT_LENGTHS = 8 };

struct frames {
    size_t at[FRAMES_MOST + 1]; /* the last one: the end of the last frame */
    size_t count;
};

static void find_frames(struct frames *frames, const uint8_t *bytes, size_t size)
{
    size_t at = TALK_OPTIONS;
    frames->count = 0;
    if (size >= at + FLETCH_HTTP2_PREFACE_BYTES &&
        memcmp(bytes + at, FLETCH_HTTP2_PREFACE, FLETCH_HTTP2_PREFACE_BYTES) == 0)
        at += FLETCH_HTTP2_PREFACE_BYTES;
    frames->at[0] = at;
    while (frames->count < FRAMES_MOST && size - at >= FLETCH_HTTP2_HEAD_BYTES) {
        size_t whole = FLETCH_HTTP2_HEAD_BYTES + (fletch_http2_read_u32(bytes + at) >> 8);
        if (whole > size - at)
            return;
        at += whole;
        frames->at[++frames->count] = at;
    }
}

/* Makes room for `come` bytes at `at`, where `gone` were, and returns the new size; in the room is
 * what lay there. */
static size_t replace(uint8_t *bytes, size_t size, size_t at, size_t gone, size_t come)
{
    memmove(bytes + at + come, bytes + at + gone, size - at - gone);
    return size - gone + come;
}

/* Puts what begins at `middle` before what begins at `first`, byte by byte: frames are small. */
static void turn(uint8_t *bytes, size_t first, size_t middle, size_t end)
{
    for (size_t i = middle; i < end; i++) {
        uint8_t byte = bytes[i];
        memmove(bytes + first + 1, bytes + first, i - first);
        bytes[first++] = byte;
    }
}

size_t grpc_mutate_payload(uint8_t *bytes, size_t size, size_t max_size,
                           struct fletch_random *random)
{
    static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff};
    if (size == 0)
        return 0;
    size_t at = fletch_random_below(random, (uint32_t)size);
    size_t rest = size - at;
    size_t part = fletch_random_below(random, (uint32_t)(rest < PART_MOST ? rest : PART_MOST) + 1);
    switch (fletch_random_below(random, 6)) {
    case 0:
        bytes[at] ^= (uint8_t)(1U << fletch_random_below(random, 8));
        return size;
    case 1:
        bytes[at] = (uint8_t)fletch_random_u64(random);
        return size;
    case 2:
        memset(bytes + at, extremes[fletch_random_below(random, sizeof extremes)],
               part < 8 ? part : 8);
        return size;
    case 3:
        return replace(bytes, size, at, part, 0);
    case 4: /* twice */
        return size + part > max_size ? size : replace(bytes, size, at, 0, part);
    default:
        bytes[at] = (uint8_t)(bytes[at] + fletch_random_below(random, 9) - 4);
        return size;
    }
}

/* Puts a frame's payload, changed, into `payload`, `room` bytes longer at most; the frame's head
 * tells its new length then. Returns that. */
static size_t change_payload(uint8_t *frame, uint8_t payload[TALK_BYTES_MOST], size_t room,
                             struct fletch_random *random, grpc_inner_mutator *inner)
{
    size_t length = fletch_http2_read_u32(frame) >> 8;
    size_t most = length + room < TALK_BYTES_MOST ? length + room : TALK_BYTES_MOST;
    if (length > most)
        most = length;
    memcpy(payload, frame + FLETCH_HTTP2_HEAD_BYTES, length);
    bool is_message = frame[3] == FLETCH_HTTP2_DATA && length >= PREFIX_BYTES &&
                      fletch_http2_read_u32(payload + 1) == length - PREFIX_BYTES;
    size_t skipped = is_message ? PREFIX_BYTES : 0;
    size_t changed = skipped + inner(payload + skipped, length - skipped, most - skipped, random);
    if (fletch_random_below(random, KEPT_LENGTHS) == 0)
        return changed;
    frame[0] = (uint8_t)(changed >> 16);
    frame[1] = (uint8_t)(changed >> 8);
    frame[2] = (uint8_t)changed;
    if (is_message)
        fletch_http2_write_u32(payload + 1, (uint32_t)(changed - PREFIX_BYTES));
    return changed;
}

size_t grpc_mutate(uint8_t *bytes, size_t size, size_t max_size, struct fletch_random *random,
                   grpc_inner_mutator *inner)
{
    static struct frames frames;
    static uint8_t payload[TALK_BYTES_MOST];
    if (size < TALK_OPTIONS || size > max_size)
        return 0;
    find_frames(&frames, bytes, size);
    if (frames.count == 0)
        return 0;
    size_t index = fletch_random_below(random, (uint32_t)frames.count);
    size_t at = frames.at[index];
    size_t whole = frames.at[index + 1] - at;
    switch (fletch_random_below(random, 8)) {
    case 0:
        return replace(bytes, size, at, whole, 0);
    case 1: /* twice */
        if (size + whole > max_size)
            return size;
        return replace(bytes, size, at, 0, whole);
    case 2: /* to another place */
        turn(bytes, frames.at[fletch_random_below(random, (uint32_t)index + 1)], at, at + whole);
        return size;
    case 3: /* type, flags, stream */
        bytes[at + 3 + fletch_random_below(random, 6)] ^=
            (uint8_t)(1U << fletch_random_below(random, 8));
        return size;
    case 4:
        bytes[fletch_random_below(random, TALK_OPTIONS)] = (uint8_t)fletch_random_u64(random);
        return size;
    default:
        break;
    }
    size_t start = at + FLETCH_HTTP2_HEAD_BYTES;
    if (whole - FLETCH_HTTP2_HEAD_BYTES > TALK_BYTES_MOST)
        return size;
    size_t changed = change_payload(bytes + at, payload, max_size - size, random, inner);
    size = replace(bytes, size, start, whole - FLETCH_HTTP2_HEAD_BYTES, changed);
    memcpy(bytes + start, payload, changed);
    return size;
}
