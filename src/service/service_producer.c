#include "service/service_producer.h"

#include <inttypes.h>

#include <fletching/partition.h>

#include "base/status.h"
#include "shuffle/producer_set.h"

/* ---- what was said ---- */

enum fletch_status fletch_service_producer_read(const struct fletch_flight_stream *stream,
                                                struct fletch_service_producer *out_producer,
                                                struct fletch_error *error)
{
    struct fletch_service_producer said = {.producer = 0};
    uint64_t number = 0;
    bool is_there = false;
    enum fletch_status status =
        fletch_service_header(stream, "fletch-producer", &number, &said.is_named, error);
    if (status == FLETCH_OK && number >= FLETCH_PRODUCERS_MAX)
        status = fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                  "OUT_OF_RANGE: producer is %" PRIu64 ", expected less than %u",
                                  number, FLETCH_PRODUCERS_MAX);
    said.producer = (uint32_t)number;
    if (status == FLETCH_OK)
        status = fletch_service_header(stream, "fletch-attempt", &said.attempt, &is_there, error);
    if (status == FLETCH_OK)
        status =
            fletch_service_header(stream, "fletch-rows", &said.rows_said, &said.has_rows, error);
    if (status == FLETCH_OK)
        status = fletch_service_header(stream, "fletch-row-sum", &said.row_sum_said,
                                       &said.has_row_sum, error);
    *out_producer = said;
    return status;
}

/* ---- opening ---- */

static enum fletch_status open_named(const struct fletch_service_producer *producer,
                                     struct fletch_shuffle *shuffle,
                                     struct fletch_buffer_cache *cache,
                                     struct fletch_shuffle_writer **out_writer,
                                     struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status =
        fletch_shuffle_writer_open(shuffle, producer->producer, cache, out_writer, &cause);
    if (status == FLETCH_OK)
        return status;
    if (status != FLETCH_ALREADY_EXISTS)
        return fletch_error_set(error, status, "%s", cause.message);
    return fletch_error_set(error, status, "%s (shuffle '%s', attempt %" PRIu64 ")", cause.message,
                            shuffle->specification.shown.text, producer->attempt);
}

enum fletch_status fletch_service_producer_open(struct fletch_service_producer *producer,
                                                struct fletch_shuffle *shuffle,
                                                struct fletch_buffer_cache *cache,
                                                struct fletch_shuffle_writer **out_writer,
                                                struct fletch_error *error)
{
    if (producer->is_named)
        return open_named(producer, shuffle, cache, out_writer, error);
    enum fletch_status status = FLETCH_ALREADY_EXISTS;
    if (shuffle->specification.hold_open) {
        status = fletch_shuffle_add_producer(shuffle, &producer->producer, error);
        return status == FLETCH_OK ? fletch_shuffle_writer_open(shuffle, producer->producer, cache,
                                                                out_writer, error)
                                   : status;
    }
    /* Another put may open the one that was found. */
    for (uint32_t next = 0; status == FLETCH_ALREADY_EXISTS; next = producer->producer + 1) {
        producer->producer = fletch_producer_set_find_free(shuffle, next);
        if (producer->producer == UINT32_MAX)
            return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                    "ALREADY_EXISTS: each producer of shuffle '%s' has been put "
                                    "already",
                                    shuffle->specification.shown.text);
        status = fletch_shuffle_writer_open(shuffle, producer->producer, cache, out_writer, error);
    }
    return status;
}

/* ---- what has come ---- */

void fletch_service_producer_count(struct fletch_service_producer *producer,
                                   const struct fletch_batch *batch)
{
    producer->batches++;
    producer->rows += (uint64_t)fletch_batch_row_count(batch);
    if (producer->has_row_sum)
        producer->row_sum += fletch_hash_row_sum(batch);
}

enum fletch_status fletch_service_producer_check(const struct fletch_service_producer *producer,
                                                 struct fletch_shuffle *shuffle,
                                                 struct fletch_error *error)
{
    if (producer->has_rows && producer->rows != producer->rows_said)
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "DATA_LOSS: producer %u of shuffle '%s' said %" PRIu64
                                " rows, %" PRIu64 " came",
                                producer->producer, shuffle->specification.shown.text,
                                producer->rows_said, producer->rows);
    if (producer->has_row_sum && producer->row_sum != producer->row_sum_said)
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "DATA_LOSS: producer %u of shuffle '%s' said the row sum %" PRIu64
                                ", what came has %" PRIu64,
                                producer->producer, shuffle->specification.shown.text,
                                producer->row_sum_said, producer->row_sum);
    if (!producer->has_rows && !producer->has_row_sum)
        fetch_add_relaxed(&shuffle->written.producers_unverified, 1); /* relaxed: the end follows */
    return FLETCH_OK;
}

const char *fletch_service_producer_level(const struct fletch_service_producer *producer)
{
    if (producer->has_row_sum)
        return "rows";
    return producer->has_rows ? "counts" : "off";
}
