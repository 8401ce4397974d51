#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flight/flight_stream.h"
#include "grpc/grpc_text.h"

#include <fletching/flight_server.h>

/* Credentials in headers, as stock clients send them. */

/* What comes behind a scheme, which is compared without regard to case; NULL: another one. */
static const char *behind_scheme(const struct fletch_flight_stream *stream, const char *scheme)
{
    const struct fletch_flight_header *header =
        fletch_flight_stream_header(stream, "authorization");
    if (header == NULL)
        return NULL;
    const char *value = header->value;
    for (; *scheme != 0; scheme++, value++)
        if ((*value | 0x20) != *scheme)
            return NULL;
    if (*value != ' ')
        return NULL;
    return value + strspn(value, " ");
}

const char *fletch_flight_bearer_token(const struct fletch_flight_stream *stream)
{
    return behind_scheme(stream, "bearer");
}

enum fletch_status
fletch_flight_basic_credentials(const struct fletch_flight_stream *stream,
                                const struct fletch_flight_basic_auth **out_credentials,
                                struct fletch_error *error)
{
    const char *encoded = behind_scheme(stream, "basic");
    size_t encoded_bytes = encoded == NULL ? 0 : strlen(encoded);
    size_t bytes = 0;
    if (encoded == NULL)
        return fletch_error_set(error, FLETCH_UNAUTHENTICATED,
                                "a header 'authorization: Basic ...' was expected");
    struct fletch_flight_made *made = fletch_block_allocate(
        &stream->allocator,
        sizeof *made + sizeof(struct fletch_flight_basic_auth) + encoded_bytes + 1);
    if (made == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for credentials");
    *made = (struct fletch_flight_made){0};
    struct fletch_flight_basic_auth *credentials = (void *)(made + 1);
    char *text = (char *)(credentials + 1);
    bool is_text = fletch_grpc_base64_decode(encoded, encoded_bytes, (uint8_t *)text, &bytes) &&
                   (bytes == 0 || memchr(text, 0, bytes) == NULL);
    text[is_text ? bytes : 0] = 0;
    char *colon = strchr(text, ':');
    if (colon == NULL) {
        fletch_flight_release(credentials);
        return fletch_error_set(error, FLETCH_UNAUTHENTICATED,
                                "the header 'authorization' has no name and password");
    }
    *colon = 0;
    *credentials = (struct fletch_flight_basic_auth){text, colon + 1};
    *out_credentials = credentials;
    return FLETCH_OK;
}

bool fletch_flight_is_equal(const char *expected, const char *found)
{
    size_t expected_bytes = strlen(expected) + 1; /* with NUL: never nothing to compare with */
    size_t found_bytes = strlen(found) + 1;
    size_t difference = expected_bytes ^ found_bytes;
    for (size_t i = 0; i < found_bytes; i++)
        difference |= (size_t)(uint8_t)(expected[i % expected_bytes] ^ found[i]);
    return difference == 0;
}
