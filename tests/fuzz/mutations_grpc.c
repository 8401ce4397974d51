/* Conversations of gRPC that are made up, then damaged: messages of several calls at once, whose
 * bytes are cut into frames anywhere, with bits flipped and ends cut off.
 *
 *   mutations_grpc SEED TRIALS [FOLDER]     FOLDER: where to put the first 64 of them, for a fuzzer
 *                                           to begin with */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/grpc_feed.h"
#include "fuzz/talk.h"

enum { FRAMES_MOST = 40, CALLS = 2, CALL_BYTES = 1 << 16 };

/* What one call's peer sends. */
struct call_bytes {
    uint8_t bytes[CALL_BYTES];
    size_t size;
    size_t sent;
};

/* POST, http, the path and the type as literals; 200 and the type; a status and a text. */
static const char request_block[] = "\x83\x86\x04\x06/p.S/M\x0f\x10\x10"
                                    "application/grpc\x00\x02te\x08trailers"
                                    "\x00\x0cgrpc-timeout\x02"
                                    "9S";
static const char response_block[] = "\x88\x0f\x10\x10"
                                     "application/grpc";
static const char trailers_block[] = "\x00\x0bgrpc-status\x01"
                                     "0\x00\x0cgrpc-message\x05"
                                     "a%20b";

static void put_block(struct talk *talk, uint32_t id, const char *block, size_t bytes, uint8_t end)
{
    talk_frame(talk,
               (struct fletch_http2_head){.length = (uint32_t)bytes,
                                          .type = FLETCH_HTTP2_HEADERS,
                                          .flags = FLETCH_HTTP2_END_HEADERS | end,
                                          .stream_id = id},
               block);
}

static void make_messages(struct call_bytes *call, struct fletch_random *random)
{
    static const uint32_t most[] = {1, 10, 300, 5000, 30000};
    uint32_t messages = fletch_random_below(random, 12);
    call->size = 0;
    call->sent = 0;
    for (uint32_t i = 0; i < messages; i++) {
        uint32_t bytes = fletch_random_below(random, most[fletch_random_below(random, 5)]);
        if (call->size + 5 + bytes > CALL_BYTES)
            return;
        uint8_t *at = call->bytes + call->size;
        at[0] = fletch_random_below(random, 60) == 0; /* compressed */
        fletch_http2_write_u32(at + 1, bytes);
        for (uint32_t k = 0; k < bytes; k++)
            at[5 + k] = (uint8_t)(k * 7 + i);
        call->size += 5 + bytes;
    }
}

static void put_data(struct talk *talk, struct fletch_random *random, uint32_t id,
                     struct call_bytes *call)
{
    static const uint32_t most[] = {4, 6, 100, 16384, 16384};
    uint32_t bytes = fletch_random_below(random, most[fletch_random_below(random, 5)]) + 1;
    if (bytes > call->size - call->sent)
        bytes = (uint32_t)(call->size - call->sent);
    if (bytes == 0)
        return;
    talk_frame(
        talk,
        (struct fletch_http2_head){.length = bytes, .type = FLETCH_HTTP2_DATA, .stream_id = id},
        call->bytes + call->sent);
    call->sent += bytes;
}

static void make(struct talk *talk, struct fletch_random *random)
{
    static struct call_bytes calls[CALLS];
    static const uint8_t ping[8];
    bool to_server = fletch_random_below(random, 2) == 0;
    uint8_t first = (uint8_t)((fletch_random_below(random, 128) << 1) | to_server);
    talk_begin(talk, first, (uint8_t)fletch_random_u64(random));
    for (uint32_t i = 0; i < CALLS; i++) {
        make_messages(&calls[i], random);
        if (to_server)
            put_block(talk, 2 * i + 1, request_block, sizeof request_block - 1, 0);
        else
            put_block(talk, 2 * i + 1, response_block, sizeof response_block - 1, 0);
    }
    for (uint32_t i = 0; i < FRAMES_MOST; i++) {
        uint32_t call = fletch_random_below(random, CALLS);
        put_data(talk, random, 2 * call + 1, &calls[call]);
        if (fletch_random_below(random, 10) == 0)
            talk_frame(talk, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
                       ping);
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        while (calls[i].sent != calls[i].size && fletch_random_below(random, 100) != 0)
            put_data(talk, random, 2 * i + 1, &calls[i]);
        if (to_server)
            talk_frame(talk,
                       (struct fletch_http2_head){.type = FLETCH_HTTP2_DATA,
                                                  .flags = FLETCH_HTTP2_END_STREAM,
                                                  .stream_id = 2 * i + 1},
                       ping);
        else
            put_block(talk, 2 * i + 1, trailers_block, sizeof trailers_block - 1,
                      FLETCH_HTTP2_END_STREAM);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: mutations_grpc SEED TRIALS [FOLDER]\n");
        return 2;
    }
    uint64_t trials = strtoull(argv[2], NULL, 10);
    struct fletch_random random = fletch_random_from_seed(strtoull(argv[1], NULL, 10));
    static struct talk talk;
    uint64_t messages = 0;
    grpc_feed_start();
    for (uint64_t i = 0; i < trials; i++) {
        make(&talk, &random);
        if (argc > 3 && i < TALK_WRITTEN)
            talk_write(&talk, argv[3], "grpc", i);
        talk_damage(&talk, &random);
        messages += grpc_feed_try(talk.bytes, talk.size);
    }
    grpc_feed_end();
    printf("seed %s: %" PRIu64 " conversations, %" PRIu64 " whole messages\n", argv[1], trials,
           messages);
    return messages > 3 * trials ? 0 : 1;
}
