#include "service/json_reader.h"

#include <jansson.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"

enum { BODY_BYTES_MOST = 4 << 20 };

static const char *const kinds[] = {"a string", "a number that is not negative", "true or false",
                                    "an array of strings"};

static enum fletch_status parse(struct fletch_flight_bytes body, json_t **out_root,
                                struct fletch_error *error)
{
    json_error_t cause;
    if (body.bytes > BODY_BYTES_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a body of %zu bytes, the limit is %d",
                                body.bytes, BODY_BYTES_MOST);
    json_t *root = body.bytes == 0
                       ? json_object()
                       : json_loadb(body.data, body.bytes, JSON_REJECT_DUPLICATES, &cause);
    if (root == NULL && body.bytes == 0)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for an object of JSON");
    if (root == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: the body is no JSON at byte %d: %s",
                                cause.position, cause.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: the body is JSON, an object was expected");
    }
    *out_root = root;
    return FLETCH_OK;
}

static const struct fletch_json_member *find(const struct fletch_json_shape *shape,
                                             const char *name)
{
    for (size_t i = 0; i < shape->count; i++)
        if (strcmp(shape->members[i].name, name) == 0)
            return &shape->members[i];
    return NULL;
}

static bool is_texts(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return json_is_array(value);
}

static bool fits(const struct fletch_json_member *member, const json_t *value)
{
    switch (member->kind) {
    case FLETCH_JSON_TEXT:
        return json_is_string(value);
    case FLETCH_JSON_NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case FLETCH_JSON_FLAG:
        return json_is_boolean(value);
    case FLETCH_JSON_TEXTS:
        return is_texts(value);
    }
    return false;
}

static void set(const struct fletch_json_member *member, const json_t *value, void *field)
{
    switch (member->kind) {
    case FLETCH_JSON_TEXT:
        *(const char **)field = json_string_value(value);
        break;
    case FLETCH_JSON_NUMBER:
        *(uint64_t *)field = (uint64_t)json_integer_value(value);
        break;
    case FLETCH_JSON_FLAG:
        *(bool *)field = json_is_true(value);
        break;
    case FLETCH_JSON_TEXTS:
        *(struct fletch_json_texts *)field =
            (struct fletch_json_texts){value, json_array_size(value)};
        break;
    }
}

static enum fletch_status take(const struct fletch_json_shape *shape, const char *name,
                               const json_t *value, void *fields, struct fletch_error *error)
{
    const struct fletch_json_member *member = find(shape, name);
    if (member == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: there is no member '%.64s'", name);
    if (!fits(member, value))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: '%s' was expected to be %s", name,
                                kinds[member->kind]);
    if (member->kind == FLETCH_JSON_NUMBER && member->most != 0 &&
        (uint64_t)json_integer_value(value) > member->most)
        return fletch_error_set(
            error, FLETCH_INVALID_ARGUMENT, "INVALID_ARGUMENT: '%s' is %lld, expected 0 to %llu",
            name, (long long)json_integer_value(value), (unsigned long long)member->most);
    set(member, value, (char *)fields + member->offset);
    return FLETCH_OK;
}

enum fletch_status fletch_json_read(struct fletch_flight_bytes body,
                                    const struct fletch_json_shape *shape, void *out_fields,
                                    json_t **out_document, struct fletch_error *error)
{
    json_t *root = NULL;
    enum fletch_status status = parse(body, &root, error);
    if (status != FLETCH_OK)
        return status;
    for (void *at = json_object_iter(root); at != NULL && status == FLETCH_OK;
         at = json_object_iter_next(root, at))
        status =
            take(shape, json_object_iter_key(at), json_object_iter_value(at), out_fields, error);
    if (status != FLETCH_OK)
        json_decref(root);
    else
        *out_document = root;
    return status;
}

void fletch_json_release(json_t *document)
{
    json_decref(document);
}

const char *fletch_json_text_at(const struct fletch_json_texts *texts, size_t index)
{
    return json_string_value(json_array_get(texts->array, index));
}

char *fletch_json_write(const json_t *value)
{
    const size_t bytes = value == NULL ? 0 : json_dumpb(value, NULL, 0, JSON_COMPACT);
    char *text = bytes == 0 ? NULL : fletch_block_allocate(NULL, bytes + 1);
    if (text == NULL)
        return NULL;
    const size_t written = json_dumpb(value, text, bytes, JSON_COMPACT);
    text[written <= bytes ? written : bytes] = '\0';
    return text;
}
