#include "http2/http2_options.h"

#include <inttypes.h>

#include "base/options.h"
#include "http2/http2_frame.h"

#define KIB UINT32_C(1024)
#define SECOND UINT64_C(1000000000)

/* A number among the options. */
struct number {
    const char *name;
    size_t offset;
    uint32_t usual;
    uint32_t least;
    uint32_t most;
};

#define NUMBER(field, usual, least, most) \
    { \
#field, offsetof(struct fletch_http2_options, field), usual, least, most \
    }

static const struct number numbers[] = {
    NUMBER(stream_window_bytes, 16 * KIB * KIB, FLETCH_HTTP2_WINDOW_DEFAULT, INT32_MAX),
    NUMBER(connection_window_bytes, 64 * KIB * KIB, FLETCH_HTTP2_WINDOW_DEFAULT, INT32_MAX),
    NUMBER(frame_bytes, KIB *KIB, FLETCH_HTTP2_FRAME_BYTES_LEAST, FLETCH_HTTP2_FRAME_BYTES_MOST),
    NUMBER(send_frame_bytes, 256 * KIB, FLETCH_HTTP2_FRAME_BYTES_LEAST,
           FLETCH_HTTP2_FRAME_BYTES_MOST),
    NUMBER(send_batch_bytes, KIB *KIB, FLETCH_HTTP2_FRAME_BYTES_LEAST, INT32_MAX),
    NUMBER(stream_limit, 1024, 1, INT32_MAX),
    NUMBER(header_block_bytes, 16 * KIB, 256, 16 * KIB * KIB),
    NUMBER(header_list_bytes, 16 * KIB, 256, 16 * KIB * KIB),
    NUMBER(continuation_limit, 8, 1, INT32_MAX),
    NUMBER(settings_limit, 32, 1, 42),
    NUMBER(answer_limit, 1000, 1, INT32_MAX),
    NUMBER(unsent_bytes, 64 * KIB, 1, INT32_MAX),
    NUMBER(reset_burst, 1000, 1, INT32_MAX),
    NUMBER(reset_rate, 33, 1, 1000000000),
    NUMBER(glitch_burst, 1000, 1, INT32_MAX),
    NUMBER(glitch_rate, 100, 1, 1000000000),
};

struct timeout {
    size_t offset;
    uint64_t usual_ns;
};

#define TIMEOUT(field, usual) \
    { \
        offsetof(struct fletch_http2_options, field), usual \
    }

static const struct timeout timeouts[] = {
    TIMEOUT(handshake_timeout_ns, 10 * SECOND), TIMEOUT(header_timeout_ns, 30 * SECOND),
    TIMEOUT(write_timeout_ns, 60 * SECOND),     TIMEOUT(idle_timeout_ns, FLETCH_HTTP2_NEVER),
    TIMEOUT(keepalive_ns, FLETCH_HTTP2_NEVER),  TIMEOUT(keepalive_timeout_ns, 20 * SECOND),
    TIMEOUT(drain_timeout_ns, 5 * SECOND),
};

enum fletch_status fletch_http2_options_copy(struct fletch_http2_options *known,
                                             const struct fletch_http2_options *options,
                                             struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status != FLETCH_OK)
        return status;
    if (known->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "option cache is NULL");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *number = &numbers[i];
        uint32_t *value = (uint32_t *)(void *)((char *)known + number->offset);
        if (*value == 0)
            *value = number->usual;
        if (*value < number->least || *value > number->most)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "option %s is %" PRIu32 ", expected %" PRIu32 " to %" PRIu32,
                                    number->name, *value, number->least, number->most);
    }
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        uint64_t *value = (uint64_t *)(void *)((char *)known + timeouts[i].offset);
        if (*value == 0)
            *value = timeouts[i].usual_ns;
    }
    return FLETCH_OK;
}
