#include "service/service_scan.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "shuffle/registry.h"

struct scan {
    const struct fletch_service *service;
    struct fletch_service_scan_options options;
    struct fletch_epoch_seat *seat;
    struct fletch_store_scan at;
    struct fletch_shuffle *shuffle; /* whose turn it is; NULL: the next one's */
    char prefix[FLETCH_SHUFFLE_NAME_BYTES_MAX];
};

static bool is_wanted(const struct scan *scan, const struct fletch_shuffle *shuffle)
{
    const struct fletch_flight_bytes *prefix = &scan->options.prefix;
    return prefix->bytes <= shuffle->specification.name_bytes &&
           memcmp(shuffle->specification.name, scan->prefix, prefix->bytes) == 0;
}

static void let_go(struct scan *scan)
{
    fletch_shuffle_release(scan->shuffle);
    scan->shuffle = NULL;
}

static enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    struct scan *scan = context;
    if (scan->shuffle == NULL)
        scan->shuffle =
            fletch_registry_next(scan->service->transport, scan->seat->reader, &scan->at);
    if (scan->shuffle == NULL)
        return FLETCH_CLOSED;
    const enum fletch_answer answer =
        is_wanted(scan, scan->shuffle)
            ? scan->options.send(scan->service, stream, scan->shuffle, error)
            : FLETCH_DONE;
    if (answer == FLETCH_FULL)
        return FLETCH_EMPTY;
    let_go(scan);
    return answer;
}

static void ended(void *context)
{
    struct scan *scan = context;
    let_go(scan);
    fletch_transport_return_seat(scan->service->transport, scan->seat);
    fletch_block_release(scan);
}

enum fletch_status fletch_service_scan(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_service_scan_options *options,
                                       struct fletch_error *error)
{
    if (options->prefix.bytes > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: criteria of %zu bytes, a name has at most %u",
                                options->prefix.bytes, FLETCH_SHUFFLE_NAME_BYTES_MAX);
    struct scan *scan = fletch_block_allocate(&service->allocator, sizeof *scan);
    if (scan == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a list of shuffles");
    *scan = (struct scan){.service = service, .options = *options};
    if (options->prefix.bytes > 0)
        memcpy(scan->prefix, options->prefix.data, options->prefix.bytes);
    fletch_store_scan_start(&scan->at, NULL);
    scan->seat = fletch_transport_borrow_seat(service->transport, error);
    const struct fletch_flight_source source = {.step = step, .ended = ended, .context = scan};
    enum fletch_status status = scan->seat == NULL
                                    ? FLETCH_RESOURCE_EXHAUSTED
                                    : fletch_flight_stream_pull(stream, &source, error);
    if (status != FLETCH_OK)
        ended(scan);
    return status;
}
