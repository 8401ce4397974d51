#ifndef FLETCH_HTTP2_HTTP2_INPUT_H
#define FLETCH_HTTP2_HTTP2_INPUT_H

/* Where bytes from the peer are put, and in which order they are read: docs/HTTP2.md. */

#include "http2/http2_machine.h"

/* The next bytes that have come, in one piece, and how many; 0: none (NULL). */
static inline size_t fletch_http2_input_peek(struct fletch_http2_input *input, uint8_t **out_data)
{
    while (input->first < input->count && input->chunks[input->first].bytes == 0)
        input->first++;
    *out_data = NULL;
    if (input->first == input->count)
        return 0;
    *out_data = input->chunks[input->first].data;
    return input->chunks[input->first].bytes;
}

/* So many of them have been read. */
static inline void fletch_http2_input_skip(struct fletch_http2_input *input, size_t bytes)
{
    if (bytes == 0)
        return;
    input->chunks[input->first].data += bytes;
    input->chunks[input->first].bytes -= bytes;
}

/* What has come and was not read is of no use any more. */
static inline void fletch_http2_input_drop(struct fletch_http2_input *input)
{
    input->first = 0;
    input->count = 0;
}

#endif
