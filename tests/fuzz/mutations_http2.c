/* Conversations of HTTP/2 that are made up, then damaged: frames of all types in any order, cut,
 * with bits flipped, lengths changed and frames left out or repeated.
 *
 *   mutations_http2 SEED TRIALS [FOLDER]     FOLDER: where to put the first 64 of them, for a
 *                                            fuzzer to begin with */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/http2_feed.h"
#include "fuzz/talk.h"

enum { FRAMES_MOST = 24 };

/* Of the static table: POST, http, /; a literal. */
static const uint8_t request_block[] = {0x83, 0x86, 0x84, 0x40, 1, 'x', 3, 'a', 'b', 'c'};
static const uint8_t response_block[] = {0x88, 0xbe, 0x40, 1, 'x', 3, 'a', 'b', 'c'};

static void put_headers(struct talk *talk, struct fletch_random *random, uint32_t id)
{
    bool is_server = (talk->bytes[0] & 1) != 0;
    const uint8_t *block = is_server ? request_block : response_block;
    uint32_t length = is_server ? sizeof request_block : sizeof response_block;
    uint32_t cut =
        fletch_random_below(random, 4) == 0 ? fletch_random_below(random, length) : length;
    uint8_t end = fletch_random_below(random, 6) == 0 ? FLETCH_HTTP2_END_STREAM : 0;
    uint8_t whole = cut == length ? FLETCH_HTTP2_END_HEADERS : 0;
    talk_frame(talk, (struct fletch_http2_head){cut, FLETCH_HTTP2_HEADERS, whole | end, id}, block);
    if (cut != length)
        talk_frame(talk,
                   (struct fletch_http2_head){length - cut, FLETCH_HTTP2_CONTINUATION,
                                              FLETCH_HTTP2_END_HEADERS, id},
                   block + cut);
}

static void put_control(struct talk *talk, struct fletch_random *random, uint32_t id)
{
    static const uint8_t lengths[] = {
        [2] = 5, [3] = 4, [4] = 6, [5] = 4, [6] = 8, [7] = 8, [8] = 4};
    uint8_t payload[8];
    uint8_t type = (uint8_t)(2 + fletch_random_below(random, 7));
    if (type == FLETCH_HTTP2_PUSH_PROMISE && fletch_random_below(random, 8) != 0)
        type = FLETCH_HTTP2_PING;
    bool is_connections = type == 4 || type == 6 || type == 7 || fletch_random_below(random, 2);
    uint64_t value = fletch_random_below(random, 100000);
    memset(payload, 0, sizeof payload);
    payload[1] = fletch_random_below(random, 4) == 0 ? (uint8_t)fletch_random_below(random, 8) : 4;
    fletch_http2_write_u32(payload + (type == 4 ? 2 : 0), (uint32_t)value);
    talk_frame(talk,
               (struct fletch_http2_head){lengths[type], type,
                                          (uint8_t)(fletch_random_below(random, 3) == 0),
                                          is_connections && type != 3 ? 0 : id},
               payload);
}

static void put_data(struct talk *talk, struct fletch_random *random, uint32_t id)
{
    static uint8_t bytes[20000];
    uint32_t length =
        fletch_random_below(random, 3) == 0 ? fletch_random_below(random, 20000) : 16384;
    uint8_t flags = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)fletch_random_u64(random);
    if (fletch_random_below(random, 12) == 0)
        flags |= FLETCH_HTTP2_END_STREAM;
    if (fletch_random_below(random, 6) == 0)
        flags |= FLETCH_HTTP2_PADDED;
    talk_frame(talk, (struct fletch_http2_head){length, FLETCH_HTTP2_DATA, flags, id}, bytes);
}

static void make(struct talk *talk, struct fletch_random *random)
{
    uint32_t frames = 1 + fletch_random_below(random, FRAMES_MOST);
    uint8_t first = (uint8_t)(fletch_random_below(random, 128) | 2);
    talk_begin(talk, first, (uint8_t)fletch_random_u64(random));
    uint32_t opened = 0;
    for (uint32_t i = 0; i < frames; i++) {
        uint32_t what = i == 0 ? 0 : fletch_random_below(random, 8);
        opened += what == 0 && opened < 3;
        uint32_t id = 1 + 2 * fletch_random_below(random, opened);
        if (what == 0)
            put_headers(talk, random, 2 * opened - 1);
        else if (what == 1)
            put_control(talk, random, id);
        else
            put_data(talk, random, fletch_random_below(random, 3) == 0 ? id : 1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: mutations_http2 SEED TRIALS [FOLDER]\n");
        return 2;
    }
    uint64_t trials = strtoull(argv[2], NULL, 10);
    struct fletch_random random = fletch_random_from_seed(strtoull(argv[1], NULL, 10));
    static struct talk talk;
    uint64_t ended = 0;
    http2_feed_start();
    for (uint64_t i = 0; i < trials; i++) {
        make(&talk, &random);
        if (argc > 3 && i < TALK_WRITTEN)
            talk_write(&talk, argv[3], "http2", i);
        talk_damage(&talk, &random);
        ended += http2_feed_try(talk.bytes, talk.size) >= 0;
    }
    http2_feed_end();
    printf("seed %s: %" PRIu64 " conversations, %" PRIu64 " ended by an error\n", argv[1], trials,
           ended);
    /* Some damage is not noticed, and some is. */
    return ended > trials / 10 && ended < trials ? 0 : 1;
}
