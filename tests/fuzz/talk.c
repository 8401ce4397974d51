#include "fuzz/talk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void talk_begin(struct talk *talk, uint8_t first, uint8_t second)
{
    talk->bytes[0] = first;
    talk->bytes[1] = second;
    talk->size = TALK_OPTIONS;
}

void talk_frame(struct talk *talk, struct fletch_http2_head head, const void *payload)
{
    if (talk->size + FLETCH_HTTP2_HEAD_BYTES + head.length > TALK_BYTES_MOST)
        return;
    fletch_http2_head_write(talk->bytes + talk->size, &head);
    talk->size += FLETCH_HTTP2_HEAD_BYTES;
    if (head.length != 0)
        memcpy(talk->bytes + talk->size, payload, head.length);
    talk->size += head.length;
}

void talk_damage(struct talk *talk, struct fletch_random *random)
{
    uint32_t said = (uint32_t)talk->size - TALK_OPTIONS;
    uint32_t changes = fletch_random_below(random, 3);
    for (uint32_t i = 0; i < changes; i++)
        talk->bytes[TALK_OPTIONS + fletch_random_below(random, said)] ^=
            (uint8_t)(1U << fletch_random_below(random, 8));
    if (fletch_random_below(random, 8) == 0)
        talk->size = TALK_OPTIONS + fletch_random_below(random, said);
}

void talk_write(const struct talk *talk, const char *folder, const char *kind, uint64_t number)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s-%" PRIu64, folder, kind, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(talk->bytes, 1, talk->size, file) != talk->size) {
        perror(path);
        exit(2);
    }
    fclose(file);
}
