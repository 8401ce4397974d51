#include "arrow/ipc_dictionaries.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/column.h"
#include "arrow/validate.h"
#include "base/allocator.h"

/* ---- entries ---- */

static enum fletch_status check_same_values(const struct fletch_ipc_dictionary *first,
                                            const struct fletch_ipc_dictionary *second,
                                            struct fletch_error *error)
{
    bool is_same = fletch_schema_compare(first->values, second->values, FLETCH_COMPARE_FIELDS,
                                         NULL) == FLETCH_OK;
    for (uint32_t i = 0; is_same && i < first->values->dictionary_count; i++)
        is_same = first->values->dictionaries[i].id == second->values->dictionaries[i].id;
    if (is_same)
        return FLETCH_OK;
    uint32_t fields[2] = {first->schema->dictionaries[first->index].field,
                          second->schema->dictionaries[second->index].field};
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "fields '%s' and '%s' share dictionary %" PRId64 " and not its type",
                            fletch_field_path_of(first->schema, fields[0]).text,
                            fletch_field_path_of(second->schema, fields[1]).text, first->id);
}

static int compare_entries(const void *left, const void *right)
{
    const struct fletch_ipc_dictionary *a = left;
    const struct fletch_ipc_dictionary *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->ordinal < b->ordinal ? -1 : a->ordinal > b->ordinal;
}

/* Dictionaries of the schema and, as deep as a schema may be, within them. */
static uint32_t count_places(const struct fletch_schema *schema)
{
    uint32_t count = schema->dictionary_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        count += count_places(schema->dictionaries[i].values);
    return count;
}

/* Writes an entry for each of them. */
static void collect_places(struct fletch_ipc_dictionaries *dictionaries,
                           const struct fletch_schema *schema, uint32_t *count)
{
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        struct fletch_schema *values = schema->dictionaries[i].values;
        dictionaries->entries[*count] =
            (struct fletch_ipc_dictionary){.id = schema->dictionaries[i].id,
                                           .schema = schema,
                                           .index = i,
                                           .ordinal = *count,
                                           .values = values};
        ++*count;
        collect_places(dictionaries, values, count);
    }
}

/* Where the entries of a schema's dictionaries stand, from `*next` on; that moves behind them. */
static const uint32_t *link_entries(struct fletch_ipc_dictionaries *dictionaries,
                                    const struct fletch_schema *schema, uint32_t **next)
{
    uint32_t *first = *next;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        *(*next)++ =
            (uint32_t)(fletch_ipc_dictionaries_find(dictionaries, schema->dictionaries[i].id) -
                       dictionaries->entries);
    return first;
}

/* The entries in the order of their ids, their growth counted, none allocated. */
static enum fletch_status number_entries(struct fletch_ipc_dictionaries *dictionaries,
                                         const struct fletch_schema *schema,
                                         struct fletch_error *error)
{
    struct fletch_ipc_dictionary *entries = dictionaries->entries;
    uint32_t count = 0;
    collect_places(dictionaries, schema, &count);
    qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        struct fletch_ipc_dictionary *last = entries + dictionaries->entry_count - 1;
        if (i > 0 && entries[i].id == last->id) {
            enum fletch_status status = check_same_values(last, &entries[i], error);
            if (status != FLETCH_OK)
                return status;
            continue;
        }
        entries[dictionaries->entry_count++] = entries[i];
        dictionaries->growth_count += entries[i].values->span_count + entries[i].values->view_count;
    }
    /* Those of the schema first, then those below each entry: no more than there are places. */
    uint32_t *next = dictionaries->entry_of;
    link_entries(dictionaries, schema, &next);
    for (uint32_t i = 0; i < dictionaries->entry_count; i++)
        entries[i].below = link_entries(dictionaries, entries[i].values, &next);
    return FLETCH_OK;
}

static enum fletch_status allocate_growths(struct fletch_ipc_dictionaries *dictionaries,
                                           struct fletch_error *error)
{
    if (dictionaries->growth_count == 0)
        return FLETCH_OK;
    dictionaries->growths = fletch_allocate(
        &dictionaries->allocator, dictionaries->growth_count * sizeof *dictionaries->growths,
        _Alignof(struct fletch_ipc_growth));
    if (dictionaries->growths == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the state of %" PRIu32 " dictionaries",
                                dictionaries->entry_count);
    memset(dictionaries->growths, 0, dictionaries->growth_count * sizeof *dictionaries->growths);
    struct fletch_ipc_growth *growth = dictionaries->growths;
    for (uint32_t i = 0; i < dictionaries->entry_count; i++) {
        dictionaries->entries[i].growth = growth;
        growth += dictionaries->entries[i].values->span_count +
                  dictionaries->entries[i].values->view_count;
    }
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_dictionaries_init(struct fletch_ipc_dictionaries *dictionaries,
                                                const struct fletch_schema *schema,
                                                struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &dictionaries->allocator;
    uint32_t count = count_places(schema);
    dictionaries->entries = NULL;
    dictionaries->entry_of = NULL;
    dictionaries->growths = NULL;
    dictionaries->entry_count = 0;
    dictionaries->growth_count = 0;
    dictionaries->place_count = count;
    dictionaries->changes = 1;
    if (count == 0)
        return FLETCH_OK;
    dictionaries->entries = fletch_allocate(allocator, count * sizeof *dictionaries->entries,
                                            _Alignof(struct fletch_ipc_dictionary));
    dictionaries->entry_of =
        fletch_allocate(allocator, count * sizeof *dictionaries->entry_of, _Alignof(uint32_t));
    enum fletch_status status = FLETCH_OK;
    if (dictionaries->entries == NULL || dictionaries->entry_of == NULL)
        status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "no memory for %" PRIu32 " dictionaries", count);
    if (status == FLETCH_OK)
        status = number_entries(dictionaries, schema, error);
    if (status == FLETCH_OK)
        status = allocate_growths(dictionaries, error);
    if (status != FLETCH_OK)
        fletch_ipc_dictionaries_deinit(dictionaries);
    return status;
}

static void drop_growths(struct fletch_ipc_dictionaries *dictionaries,
                         struct fletch_ipc_growth *growths, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fletch_buffer_release(dictionaries->cache, growths[i].buffer);
        growths[i] = (struct fletch_ipc_growth){0};
    }
}

void fletch_ipc_dictionaries_deinit(struct fletch_ipc_dictionaries *dictionaries)
{
    const struct fletch_allocator *allocator = &dictionaries->allocator;
    uint32_t count = dictionaries->place_count;
    if (dictionaries->growths != NULL) {
        drop_growths(dictionaries, dictionaries->growths, dictionaries->growth_count);
        fletch_release(allocator, dictionaries->growths,
                       dictionaries->growth_count * sizeof *dictionaries->growths,
                       _Alignof(struct fletch_ipc_growth));
    }
    for (uint32_t i = 0; i < dictionaries->entry_count; i++) {
        fletch_batch_release(dictionaries->cache, dictionaries->entries[i].batch);
        fletch_kept_metadata_drop(&dictionaries->entries[i].custom, dictionaries->cache);
    }
    if (dictionaries->entries != NULL)
        fletch_release(allocator, dictionaries->entries, count * sizeof *dictionaries->entries,
                       _Alignof(struct fletch_ipc_dictionary));
    if (dictionaries->entry_of != NULL)
        fletch_release(allocator, dictionaries->entry_of, count * sizeof *dictionaries->entry_of,
                       _Alignof(uint32_t));
    dictionaries->entries = NULL;
    dictionaries->entry_of = NULL;
    dictionaries->growths = NULL;
    dictionaries->entry_count = 0;
    dictionaries->place_count = 0;
}

struct fletch_ipc_dictionary *
fletch_ipc_dictionaries_find(struct fletch_ipc_dictionaries *dictionaries, int64_t id)
{
    uint32_t low = 0;
    uint32_t high = dictionaries->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dictionaries->entries[middle].id == id)
            return &dictionaries->entries[middle];
        if (dictionaries->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void fletch_ipc_dictionaries_set(struct fletch_ipc_dictionaries *dictionaries,
                                 struct fletch_ipc_dictionary *entry, struct fletch_batch *batch)
{
    drop_growths(dictionaries, entry->growth,
                 entry->values->span_count + entry->values->view_count);
    fletch_batch_release(dictionaries->cache, entry->batch);
    entry->batch = batch;
    entry->has_come = true;
    entry->is_checked = false;
    dictionaries->changes++;
}

void fletch_ipc_dictionaries_forget(struct fletch_ipc_dictionaries *dictionaries)
{
    for (uint32_t i = 0; i < dictionaries->entry_count; i++)
        fletch_ipc_dictionaries_set(dictionaries, &dictionaries->entries[i], NULL);
}

/* ---- empty ones ---- */

enum fletch_status fletch_ipc_dictionaries_empty(struct fletch_ipc_dictionaries *dictionaries,
                                                 struct fletch_schema *values,
                                                 struct fletch_batch **out_batch,
                                                 struct fletch_error *error)
{
    struct fletch_buffer *room = NULL;
    size_t bytes = values->field_count * sizeof(struct fletch_batch_node) +
                   values->span_count * sizeof(struct fletch_batch_span) +
                   values->dictionary_count * sizeof(struct fletch_batch *) +
                   (values->view_count + (size_t)1) * sizeof(uint32_t);
    enum fletch_status status =
        fletch_buffer_allocate(dictionaries->cache, bytes, NULL, &room, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_batch_node *nodes = (void *)fletch_buffer_mutable_data(room);
    struct fletch_batch_span *spans = (void *)(nodes + values->field_count);
    struct fletch_batch **none = (void *)(spans + values->span_count);
    uint32_t *view_spans = (void *)(none + values->dictionary_count);
    memset(nodes, 0, bytes);
    for (uint32_t i = 0; i <= values->view_count; i++)
        view_spans[i] = values->span_count;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(values),
        .nodes = nodes,
        .node_count = values->field_count,
        .spans = spans,
        .span_count = values->span_count,
        .view_spans = view_spans,
        .view_count = values->view_count,
        .dictionaries = none,
        .dictionary_count = values->dictionary_count,
    };
    status =
        fletch_batch_create(dictionaries->cache, dictionaries->account, &parts, out_batch, error);
    if (status != FLETCH_OK)
        fletch_schema_release(values);
    fletch_buffer_release(dictionaries->cache, room);
    return status;
}

/* ---- binding ---- */

enum fletch_status fletch_ipc_dictionaries_below(struct fletch_ipc_dictionaries *dictionaries,
                                                 const struct fletch_ipc_dictionary *entry,
                                                 struct fletch_batch **out_batches,
                                                 struct fletch_error *error)
{
    for (uint32_t i = 0; i < entry->values->dictionary_count; i++) {
        struct fletch_ipc_dictionary *below = &dictionaries->entries[entry->below[i]];
        enum fletch_status status = FLETCH_OK;
        if (below->batch == NULL)
            status =
                fletch_ipc_dictionaries_empty(dictionaries, below->values, &below->batch, error);
        if (status != FLETCH_OK)
            return status;
        out_batches[i] = below->batch;
    }
    return FLETCH_OK;
}

/* Gives the entry the same values, bound to `below`. */
static enum fletch_status rebind(struct fletch_ipc_dictionaries *dictionaries,
                                 struct fletch_ipc_dictionary *entry, struct fletch_batch **below,
                                 struct fletch_error *error)
{
    struct fletch_batch *old = entry->batch;
    struct fletch_batch *bound = NULL;
    struct fletch_batch_parts parts = fletch_batch_parts_of(old);
    parts.dictionaries = below;
    enum fletch_status status =
        fletch_batch_create(dictionaries->cache, dictionaries->account, &parts, &bound, error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_acquire_shared_parts(bound);
    for (uint32_t i = 0; i < bound->owner_count; i++)
        fletch_buffer_acquire(bound->owners[i]);
    fletch_batch_release(dictionaries->cache, old);
    entry->batch = bound;
    entry->is_checked = false;
    return FLETCH_OK;
}

static bool is_all_null(const struct fletch_batch *batch, uint32_t row)
{
    const struct fletch_batch_node *node = &batch->nodes[row];
    const struct fletch_batch_span *validity = &batch->spans[batch->schema->fields[row].first_span];
    if (node->length == 0)
        return true;
    return validity->data != NULL &&
           fletch_bitmap_count(validity->data, node->offset, node->length) == 0;
}

/* What could not be seen before the dictionaries within had come. */
static enum fletch_status check_bound(const struct fletch_ipc_dictionaries *dictionaries,
                                      const struct fletch_ipc_dictionary *entry,
                                      struct fletch_error *error)
{
    const struct fletch_schema *values = entry->values;
    for (uint32_t i = 0; i < values->dictionary_count; i++) {
        const struct fletch_ipc_dictionary *below = &dictionaries->entries[entry->below[i]];
        if (!below->has_come && !is_all_null(entry->batch, values->dictionaries[i].field))
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "dictionary %" PRId64 " refers to dictionary %" PRId64
                                    ", which has not come before the record batch",
                                    entry->id, below->id);
    }
    if (dictionaries->validation < FLETCH_VALIDATION_FULL)
        return FLETCH_OK;
    return fletch_batch_validate_columns(entry->batch, FLETCH_VALIDATION_FULL, error);
}

enum fletch_status fletch_ipc_dictionaries_bind(struct fletch_ipc_dictionaries *dictionaries,
                                                struct fletch_ipc_dictionary *entry,
                                                struct fletch_error *error)
{
    uint32_t count = entry->values->dictionary_count;
    enum fletch_status status = FLETCH_OK;
    /* Small batches are not to cost a walk through what a large schema has in its dictionaries. */
    if (entry->settled_at == dictionaries->changes)
        return FLETCH_OK;
    if (entry->batch == NULL)
        status = fletch_ipc_dictionaries_empty(dictionaries, entry->values, &entry->batch, error);
    if (count == 0 || status != FLETCH_OK)
        return status;
    /* As deep as dictionaries are nested in the schema. */
    bool is_bound = true;
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++) {
        struct fletch_ipc_dictionary *below = &dictionaries->entries[entry->below[i]];
        status = fletch_ipc_dictionaries_bind(dictionaries, below, error);
        is_bound = is_bound && entry->batch->dictionaries[i] == below->batch;
    }
    struct fletch_buffer *room = NULL;
    if (status == FLETCH_OK && !is_bound)
        status = fletch_buffer_allocate(dictionaries->cache, count * sizeof entry->batch, NULL,
                                        &room, error);
    if (room != NULL) {
        struct fletch_batch **below = (void *)fletch_buffer_mutable_data(room);
        status = fletch_ipc_dictionaries_below(dictionaries, entry, below, error);
        if (status == FLETCH_OK)
            status = rebind(dictionaries, entry, below, error);
        fletch_buffer_release(dictionaries->cache, room);
    }
    if (status == FLETCH_OK && !entry->is_checked) {
        status = check_bound(dictionaries, entry, error);
        entry->is_checked = status == FLETCH_OK;
    }
    if (status == FLETCH_OK)
        entry->settled_at = dictionaries->changes;
    return status;
}
