#include "http2/field_rules.h"

#include <string.h>

enum { DIGITS_MOST = 18 };

/* Pseudo-header fields, as bits of what was seen. */
enum pseudo { METHOD = 1, SCHEME = 2, AUTHORITY = 4, PATH = 8, STATUS = 16 };

struct walk {
    enum fletch_http2_part part;
    struct fletch_http2_facts *facts;
    uint32_t seen;
    bool is_past_pseudo;
    bool is_connect;
    const struct fletch_http2_field *authority;
};

static bool is(const struct fletch_http2_field *field, const char *name)
{
    return field->name_bytes == strlen(name) && memcmp(field->name, name, field->name_bytes) == 0;
}

static bool has_value(const struct fletch_http2_field *field, const char *value)
{
    return field->value_bytes == strlen(value) &&
           memcmp(field->value, value, field->value_bytes) == 0;
}

static const char *check_name(const struct fletch_http2_field *field)
{
    if (field->name_bytes == 0)
        return "a field without a name";
    for (uint32_t i = 0; i < field->name_bytes; i++) {
        unsigned char c = (unsigned char)field->name[i];
        if (c <= 0x20 || c >= 0x7f)
            return "a name with a space, a control character or beyond ascii";
        if (c >= 'A' && c <= 'Z')
            return "a name with an upper case letter";
        if (c == ':' && i != 0)
            return "a name with a colon";
    }
    return NULL;
}

static const char *check_value(const struct fletch_http2_field *field)
{
    for (uint32_t i = 0; i < field->value_bytes; i++) {
        char c = field->value[i];
        if (c == 0 || c == '\r' || c == '\n')
            return "a value with a NUL, a carriage return or a line feed";
    }
    if (field->value_bytes == 0)
        return NULL;
    char first = field->value[0];
    char last = field->value[field->value_bytes - 1];
    if (first == ' ' || first == '\t' || last == ' ' || last == '\t')
        return "a value that begins or ends with a space";
    return NULL;
}

static const char *read_status(struct walk *walk, const struct fletch_http2_field *field)
{
    uint32_t status = 0;
    if (field->value_bytes != 3)
        return "a :status that has not three digits";
    for (uint32_t i = 0; i < 3; i++) {
        if (field->value[i] < '0' || field->value[i] > '9')
            return "a :status that has not three digits";
        status = status * 10 + (uint32_t)(field->value[i] - '0');
    }
    if (status < 100 || status == 101)
        return "a :status that does not exist in http/2";
    walk->facts->status = status;
    return NULL;
}

static const char *check_pseudo(struct walk *walk, const struct fletch_http2_field *field)
{
    static const struct {
        const char *name;
        enum pseudo bit;
    } known[] = {{":method", METHOD},
                 {":scheme", SCHEME},
                 {":authority", AUTHORITY},
                 {":path", PATH},
                 {":status", STATUS}};
    if (walk->part == FLETCH_HTTP2_TRAILERS)
        return "a pseudo-header field in trailers";
    if (walk->is_past_pseudo)
        return "a pseudo-header field after another field";
    enum pseudo bit = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is(field, known[i].name))
            bit = known[i].bit;
    if (bit == 0)
        return "a pseudo-header field that is not defined";
    if ((bit == STATUS) != (walk->part == FLETCH_HTTP2_RESPONSE))
        return "a pseudo-header field of the other direction";
    if ((walk->seen & bit) != 0)
        return "a pseudo-header field twice";
    walk->seen |= bit;
    if (bit == STATUS)
        return read_status(walk, field);
    if (bit == AUTHORITY)
        walk->authority = field;
    else if (field->value_bytes == 0)
        return "an empty :method, :scheme or :path";
    if (bit == METHOD)
        walk->is_connect = has_value(field, "CONNECT");
    if (bit == PATH && field->value[0] != '/' && !has_value(field, "*"))
        return "a :path that does not begin with '/'";
    return NULL;
}

static const char *read_content_length(struct walk *walk, const struct fletch_http2_field *field)
{
    int64_t length = 0;
    if (field->value_bytes == 0 || field->value_bytes > DIGITS_MOST)
        return "a content-length that is no number";
    for (uint32_t i = 0; i < field->value_bytes; i++) {
        if (field->value[i] < '0' || field->value[i] > '9')
            return "a content-length that is no number";
        length = length * 10 + (field->value[i] - '0');
    }
    if (walk->facts->content_length >= 0 && walk->facts->content_length != length)
        return "two values of content-length";
    walk->facts->content_length = length;
    return NULL;
}

static const char *check_regular(struct walk *walk, const struct fletch_http2_field *field)
{
    static const char *const connection_fields[] = {"connection", "proxy-connection", "keep-alive",
                                                    "transfer-encoding", "upgrade"};
    walk->is_past_pseudo = true;
    for (size_t i = 0; i < sizeof connection_fields / sizeof connection_fields[0]; i++)
        if (is(field, connection_fields[i]))
            return "a field of the connection, which http/2 does not have";
    if (is(field, "te") && !has_value(field, "trailers"))
        return "a te that is not 'trailers'";
    if (is(field, "content-length") && walk->part != FLETCH_HTTP2_TRAILERS)
        return read_content_length(walk, field);
    if (is(field, "host") && walk->authority != NULL &&
        (field->value_bytes != walk->authority->value_bytes ||
         memcmp(field->value, walk->authority->value, field->value_bytes) != 0))
        return "a host that is not the :authority";
    return NULL;
}

static const char *check_whole(const struct walk *walk)
{
    if (walk->part == FLETCH_HTTP2_RESPONSE && (walk->seen & STATUS) == 0)
        return "a response without :status";
    if (walk->part != FLETCH_HTTP2_REQUEST)
        return NULL;
    if (walk->is_connect)
        return walk->seen == (METHOD | AUTHORITY) ? NULL : "a CONNECT with other than :authority";
    if ((walk->seen & (METHOD | SCHEME | PATH)) != (METHOD | SCHEME | PATH))
        return "a request without :method, :scheme or :path";
    return NULL;
}

const char *fletch_http2_fields_check(const struct fletch_http2_field *fields, size_t count,
                                      enum fletch_http2_part part,
                                      struct fletch_http2_facts *out_facts)
{
    struct walk walk = {.part = part, .facts = out_facts};
    *out_facts = (struct fletch_http2_facts){.content_length = -1};
    for (size_t i = 0; i < count; i++) {
        const struct fletch_http2_field *field = &fields[i];
        const char *fault = check_name(field);
        if (fault == NULL)
            fault = check_value(field);
        if (fault == NULL)
            fault =
                field->name[0] == ':' ? check_pseudo(&walk, field) : check_regular(&walk, field);
        if (fault != NULL)
            return fault;
    }
    return check_whole(&walk);
}
