/* Messages of Flight that bytes made up. The first byte says which: a message of the protocol is
 * read or refused, and what was read is the same when it is written and read again; or FlightData,
 * several, in pieces of any size, are placed and read as record batches. */

#include "fuzz/fuzz_target.h"

#include <string.h>

#include "flight/flight_intake.h"
#include "flight/flight_reader.h"
#include "fuzz/ipc_input.h"

enum { KINDS = FLETCH_FLIGHT_SESSION_ERRORS + 1, DATA = KINDS };

static struct ipc_input input;

static void check_refusal(const char *what, enum fletch_status status,
                          const struct fletch_error *error)
{
    bool is_known = status == FLETCH_INVALID_ARGUMENT || status == FLETCH_UNIMPLEMENTED ||
                    status == FLETCH_DATA_LOSS || status == FLETCH_RESOURCE_EXHAUSTED ||
                    status == FLETCH_FAILED_PRECONDITION || status == FLETCH_OUT_OF_RANGE;
    if (!is_known || error->status != status || error->message[0] == 0)
        fuzz_stop(what, error->message);
}

/* ---- messages of the protocol ---- */

static struct fletch_flight_bytes written(enum fletch_flight_message kind, const void *message)
{
    struct fletch_flight_bytes bytes;
    struct fletch_error error;
    if (fletch_flight_encode(kind, message, NULL, &bytes, &error) != FLETCH_OK)
        fuzz_stop("encode", error.message);
    return bytes;
}

static void try_message(enum fletch_flight_message kind, const uint8_t *bytes, size_t size)
{
    struct fletch_error error;
    const void *message = NULL, *again = NULL;
    enum fletch_status status = fletch_flight_decode(
        kind, (struct fletch_flight_bytes){bytes, size}, NULL, &message, &error);
    if (status != FLETCH_OK) {
        check_refusal("decode", status, &error);
        return;
    }
    const struct fletch_flight_bytes first = written(kind, message);
    if (fletch_flight_decode(kind, first, NULL, &again, &error) != FLETCH_OK)
        fuzz_stop("decode of what was encoded", error.message);
    const struct fletch_flight_bytes second = written(kind, again);
    if (first.bytes != second.bytes || memcmp(first.data, second.data, first.bytes) != 0)
        fuzz_stop("encode", "another message than was read");
    fletch_flight_release(first.data);
    fletch_flight_release(second.data);
    fletch_flight_release(message);
    fletch_flight_release(again);
}

/* ---- data ---- */

/* Puts `size` bytes where they are wanted, in pieces of at most `piece` bytes. */
static enum fletch_status place(struct fletch_flight_intake *intake, const uint8_t *bytes,
                                size_t size, size_t piece, struct fletch_error *error)
{
    struct iovec wanted = {NULL, 0};
    enum fletch_status status = fletch_flight_intake_begin(intake, true, size, error);
    while (status == FLETCH_OK && size != 0) {
        if (wanted.iov_len == 0) /* the last place is full */
            wanted = fletch_flight_intake_place(intake);
        if (wanted.iov_len == 0 || wanted.iov_len > size)
            fuzz_stop("intake", "a place that the message does not fill");
        size_t now = wanted.iov_len < piece ? wanted.iov_len : piece;
        memcpy(wanted.iov_base, bytes, now);
        wanted = (struct iovec){(uint8_t *)wanted.iov_base + now, wanted.iov_len - now};
        bytes += now;
        size -= now;
        status = fletch_flight_intake_filled(intake, now, error);
    }
    return status;
}

static enum fletch_status try_one(struct fletch_flight_intake *intake,
                                  struct fletch_flight_reader *reader, struct fuzz_bytes *bytes,
                                  struct fletch_error *error)
{
    struct fletch_flight_incoming *incoming = NULL;
    struct fletch_flight_item item = {.batch = NULL};
    size_t size = (size_t)fuzz_byte(bytes) << 8 | fuzz_byte(bytes);
    size_t piece = (size_t)fuzz_byte(bytes) + 1;
    if (size > bytes->left)
        size = bytes->left;
    enum fletch_status status = place(intake, bytes->next, size, piece, error);
    bytes->next += size;
    bytes->left -= size;
    if (status == FLETCH_OK)
        status = fletch_flight_intake_take(intake, true, &incoming, error);
    if (status != FLETCH_OK) {
        fletch_flight_intake_drop(intake);
        return status;
    }
    status = fletch_flight_reader_take(reader, incoming, &item, error);
    if (status == FLETCH_OK)
        fletch_batch_release(input.cache, item.batch);
    fletch_flight_incoming_free(input.cache, incoming);
    return status;
}

static void try_data(const uint8_t *bytes, size_t size)
{
    const struct fletch_flight_memory memory = {input.cache, NULL};
    struct fletch_flight_intake intake = {.memory = memory, .step_bytes = 1024};
    struct fletch_flight_reader reader = {.memory = memory, .validation = FLETCH_VALIDATION_FULL};
    struct fuzz_bytes left = {bytes, size};
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    while (left.left > 3 && status == FLETCH_OK)
        status = try_one(&intake, &reader, &left, &error);
    if (status != FLETCH_OK)
        check_refusal("data", status, &error);
    fletch_flight_reader_end(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (input.pool == NULL)
        ipc_input_start(&input);
    if (size == 0)
        return 0;
    unsigned choice = bytes[0] % (KINDS + 8);
    if (choice < KINDS)
        try_message((enum fletch_flight_message)choice, bytes + 1, size - 1);
    else
        try_data(bytes + 1, size - 1);
    return 0;
}
