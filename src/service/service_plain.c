#include "service/service_plain.h"

#include <string.h>

#include "arrow/schema_builder.h"
#include "base/allocator.h"
#include "base/status.h"
#include "flight/flight_stream.h"
#include "memory/batch.h"

/* ---- a schema without dictionaries ---- */

static enum fletch_status open_field(struct fletch_schema_builder *builder,
                                     const struct fletch_field *field,
                                     const struct fletch_type *type, struct fletch_error *error)
{
    struct fletch_metadata_pair pair;
    size_t position = 0;
    const struct fletch_field_options options = {.name = field->name,
                                                 .name_bytes = field->name_bytes,
                                                 .type = *type,
                                                 .is_nullable = field->is_nullable};
    enum fletch_status status = fletch_schema_builder_open(builder, &options, error);
    while (status == FLETCH_OK && fletch_metadata_next(&field->metadata, &position, &pair))
        status = fletch_schema_builder_metadata(builder, &pair, error);
    return status;
}

/* What lies below the values of a dictionary, without dictionaries itself. */
static enum fletch_status add_below(struct fletch_schema_builder *builder,
                                    const struct fletch_schema *values, struct fletch_error *error)
{
    uint32_t ends[FLETCH_SCHEMA_DEPTH_MAX];
    const uint32_t base = builder->depth;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t at = 1; at < values->field_count && status == FLETCH_OK; at++) {
        status = open_field(builder, &values->fields[at], &values->fields[at].type, error);
        if (status == FLETCH_OK)
            ends[builder->depth - 1] = values->fields[at].end;
        while (status == FLETCH_OK && builder->depth > base && ends[builder->depth - 1] == at + 1)
            status = fletch_schema_builder_close(builder, error);
    }
    return status;
}

static enum fletch_status add_row(struct fletch_schema_builder *builder,
                                  const struct fletch_schema *schema, uint32_t row,
                                  struct fletch_error *error)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_schema_dictionary *of = fletch_schema_dictionary_of(schema, field);
    const struct fletch_type *type = of == NULL ? &field->type : &of->values->fields[0].type;
    enum fletch_status status = open_field(builder, field, type, error);
    return status == FLETCH_OK && of != NULL ? add_below(builder, of->values, error) : status;
}

static enum fletch_status make_schema(const struct fletch_schema *schema,
                                      const struct fletch_allocator *allocator,
                                      struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct fletch_schema_builder builder;
    struct fletch_metadata_pair pair;
    uint32_t ends[FLETCH_SCHEMA_DEPTH_MAX];
    size_t position = 0;
    enum fletch_status status = FLETCH_OK;
    fletch_schema_builder_init(&builder, allocator);
    while (status == FLETCH_OK && fletch_metadata_next(&schema->metadata, &position, &pair))
        status = fletch_schema_builder_metadata(&builder, &pair, error);
    for (uint32_t row = 0; row < schema->field_count && status == FLETCH_OK; row++) {
        status = add_row(&builder, schema, row, error);
        if (status == FLETCH_OK)
            ends[builder.depth - 1] = schema->fields[row].end;
        while (status == FLETCH_OK && builder.depth > 0 && ends[builder.depth - 1] == row + 1)
            status = fletch_schema_builder_close(&builder, error);
    }
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_schema, error);
    fletch_schema_builder_deinit(&builder);
    return status;
}

/* Dictionaries within values of dictionaries stay. */
static bool can_be_plain(const struct fletch_schema *schema)
{
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        if (schema->dictionaries[i].values->dictionary_count != 0)
            return false;
    return schema->dictionary_count != 0;
}

/* ---- who gets what ---- */

static bool is(const struct fletch_flight_header *header, const char *text)
{
    return header->value_bytes == strlen(text) && memcmp(header->value, text, strlen(text)) == 0;
}

static enum fletch_status read_wish(const struct fletch_flight_stream *stream, bool *out_keeps,
                                    struct fletch_error *error)
{
    const struct fletch_flight_header *wish =
        fletch_flight_stream_header(stream, "fletch-dictionaries");
    const struct fletch_flight_header *agent = fletch_flight_stream_header(stream, "user-agent");
    *out_keeps = stream->options.peer_reads_deltas ||
                 (agent != NULL && strstr(agent->value, "grpc-c++") != NULL);
    if (wish == NULL)
        return FLETCH_OK;
    *out_keeps = is(wish, "keep");
    if (*out_keeps || is(wish, "plain"))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: header fletch-dictionaries is '%.64s', expected "
                            "keep or plain",
                            (const char *)wish->value);
}

enum fletch_status fletch_service_plain_start(struct fletch_service_plain *plain,
                                              const struct fletch_flight_stream *stream,
                                              const struct fletch_shuffle *shuffle,
                                              struct fletch_error *error)
{
    struct fletch_schema *schema = shuffle->specification.schema;
    bool keeps = false;
    enum fletch_status status = read_wish(stream, &keeps, error);
    if (status != FLETCH_OK)
        return status;
    plain->is_plain = !keeps && can_be_plain(schema);
    if (!plain->is_plain) {
        plain->schema = fletch_schema_acquire(schema);
        return FLETCH_OK;
    }
    status = make_schema(schema, &shuffle->allocator, &plain->schema, error);
    plain->recoder =
        (struct fletch_recoder){.schema = plain->schema, .allocator = shuffle->allocator};
    return status;
}

void fletch_service_plain_end(struct fletch_service_plain *plain)
{
    fletch_schema_release(plain->schema);
    plain->schema = NULL;
}

enum fletch_status fletch_service_plain_take(struct fletch_service_plain *plain,
                                             struct fletch_batch *batch,
                                             struct fletch_buffer_cache *cache,
                                             struct fletch_batch **out_batch,
                                             struct fletch_error *error)
{
    if (!plain->is_plain) {
        *out_batch = batch;
        return FLETCH_OK;
    }
    plain->recoder.cache = cache;
    enum fletch_status status = fletch_recode_batch(&plain->recoder, batch, out_batch, error);
    fletch_batch_release(cache, batch);
    return status;
}

enum fletch_status fletch_service_plain_empty(const struct fletch_service_plain *plain,
                                              struct fletch_buffer_cache *cache,
                                              struct fletch_batch **out_batch,
                                              struct fletch_error *error)
{
    struct fletch_schema *schema = plain->schema;
    const size_t node_bytes = schema->field_count * sizeof(struct fletch_batch_node);
    const size_t span_bytes = schema->span_count * sizeof(struct fletch_batch_span);
    const size_t view_bytes = (schema->view_count + 1) * sizeof(uint32_t);
    const size_t dictionary_bytes = schema->dictionary_count * sizeof(struct fletch_batch *);
    char *block =
        fletch_block_allocate(NULL, node_bytes + span_bytes + dictionary_bytes + view_bytes);
    if (block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a batch without rows");
    memset(block, 0, node_bytes + span_bytes + dictionary_bytes + view_bytes);
    uint32_t *views = (uint32_t *)(void *)(block + node_bytes + span_bytes + dictionary_bytes);
    for (uint32_t i = 0; i <= schema->view_count; i++)
        views[i] = schema->span_count;
    const struct fletch_batch_parts parts = {
        .schema = schema,
        .nodes = (const void *)block,
        .spans = (const void *)(block + node_bytes),
        .dictionaries = (const void *)(block + node_bytes + span_bytes),
        .view_spans = views,
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .view_count = schema->view_count,
        .dictionary_count = schema->dictionary_count,
    };
    enum fletch_status status = fletch_batch_create(cache, NULL, &parts, out_batch, error);
    if (status == FLETCH_OK)
        (void)fletch_schema_acquire(schema);
    fletch_block_release(block);
    return status;
}
