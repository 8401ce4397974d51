#include "flight/flight_stream_facts.h"

#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/status.h"

const struct fletch_flight_header *
fletch_flight_stream_headers(const struct fletch_flight_stream *stream, size_t *out_count)
{
    const struct fletch_flight_headers *headers =
        stream->options.is_server ? &stream->user.came : &stream->answer;
    bool is_there = stream->options.is_server || stream->user.has_answer;
    *out_count = is_there ? headers->count : 0;
    return is_there ? headers->items : NULL;
}

const struct fletch_flight_header *
fletch_flight_stream_trailers(const struct fletch_flight_stream *stream, size_t *out_count)
{
    *out_count = stream->user.has_end ? stream->ended.trailers.count : 0;
    return stream->user.has_end ? stream->ended.trailers.items : NULL;
}

const struct fletch_flight_header *
fletch_flight_stream_header(const struct fletch_flight_stream *stream, const char *name)
{
    struct fletch_flight_headers headers;
    headers.items = fletch_flight_stream_headers(stream, &headers.count);
    const struct fletch_flight_header *header = fletch_flight_headers_find(&headers, name);
    if (header != NULL)
        return header;
    headers.items = fletch_flight_stream_trailers(stream, &headers.count);
    return fletch_flight_headers_find(&headers, name);
}

enum fletch_status fletch_flight_stream_add_header(struct fletch_flight_stream *stream,
                                                   const struct fletch_flight_header *header,
                                                   struct fletch_error *error)
{
    if (!stream->options.is_server || stream->user.has_written || stream->user.is_finished)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the headers of the answer are gone already");
    return fletch_flight_headers_add(&stream->headers, header, error);
}

enum fletch_status fletch_flight_stream_add_trailer(struct fletch_flight_stream *stream,
                                                    const struct fletch_flight_header *header,
                                                    struct fletch_error *error)
{
    if (!stream->options.is_server || stream->user.is_finished)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "the call was finished already");
    return fletch_flight_headers_add(&stream->trailers, header, error);
}

const char *fletch_flight_stream_peer(const struct fletch_flight_stream *stream)
{
    return stream->user.peer.text;
}

uint64_t fletch_flight_stream_remaining_ns(const struct fletch_flight_stream *stream)
{
    return fletch_clock_remaining_ns(stream->user.deadline_ns);
}

const char *fletch_flight_stream_identity(const struct fletch_flight_stream *stream)
{
    return stream->user.identity == NULL ? "" : stream->user.identity;
}

enum fletch_status fletch_flight_stream_set_identity(struct fletch_flight_stream *stream,
                                                     const char *identity,
                                                     struct fletch_error *error)
{
    size_t bytes = strlen(identity) + 1;
    char *copy = fletch_block_allocate(&stream->allocator, bytes);
    if (copy == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an identity of %zu bytes", bytes);
    memcpy(copy, identity, bytes);
    if (stream->user.identity != NULL)
        fletch_block_release(stream->user.identity);
    stream->user.identity = copy;
    return FLETCH_OK;
}

const char *fletch_flight_ended_text(const struct fletch_flight_stream *stream)
{
    const char *text = stream->ended.text;
    enum fletch_status status = stream->ended.status;
    struct fletch_flight_bytes detail;
    fletch_flight_status_read(&stream->ended.trailers, &status, &text, &detail);
    return text;
}

enum fletch_status fletch_flight_answer_status(enum fletch_answer answer,
                                               struct fletch_error *error)
{
    if (answer == FLETCH_DONE)
        return FLETCH_OK;
    if (answer == FLETCH_CLOSED)
        return error->status;
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED, "%s in time",
                            answer == FLETCH_EMPTY ? "nothing has come"
                                                   : "what was written is not read");
}
