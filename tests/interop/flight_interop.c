#include "flight_interop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- flags ---- */

/* The value of `flag`, from behind its "=" or from the next argument; NULL: it is another flag. */
static const char *flag_value(const char *flag, char **argument)
{
    const char *name = *argument;
    const size_t bytes = strlen(flag);
    while (*name == '-')
        name++;
    if (name == *argument || strncmp(name, flag, bytes) != 0)
        return NULL;
    return name[bytes] == '=' ? name + bytes + 1 : name[bytes] == '\0' ? argument[1] : NULL;
}

struct interop_flags interop_flags_parse(int argc, char **argv)
{
    struct interop_flags flags = {.host = "127.0.0.1", .scenario = "", .path = NULL, .port = 0};
    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = flag_value("port", argv + i)) != NULL)
            flags.port = (unsigned)strtoul(value, NULL, 10);
        else if ((value = flag_value("host", argv + i)) != NULL)
            flags.host = value;
        else if ((value = flag_value("scenario", argv + i)) != NULL)
            flags.scenario = value;
        else if ((value = flag_value("path", argv + i)) != NULL)
            flags.path = value;
        else {
            (void)fprintf(stderr, "flags are -port, -host, -scenario and -path, not %s\n", argv[i]);
            exit(2);
        }
        if (value == argv[i + 1])
            i++;
    }
    return flags;
}

void interop_check(const char *what, enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, fletch_status_name(status),
                  error == NULL ? "" : error->message);
    exit(1);
}

/* ---- batches ---- */

/* A batch's memory, with what the C data interface needs of it. */
struct column {
    struct ArrowArray *children[1];
    struct ArrowArray child;
    const void *struct_buffers[1];
    const void *buffers[2];
    uint32_t values[];
};

struct fletch_buffer_pool *interop_pool(void)
{
    static struct fletch_buffer_pool *pool;
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_error error;
    if (pool == NULL)
        interop_check("the pool", fletch_buffer_pool_create(&options, NULL, &pool, &error), &error);
    return pool;
}

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

struct fletch_schema *interop_schema(const char *name, const char *format)
{
    struct ArrowSchema child = {
        .format = format, .name = name, .flags = ARROW_FLAG_NULLABLE, .release = release_schema};
    struct ArrowSchema *children[] = {&child};
    struct ArrowSchema whole = {.format = "+s",
                                .n_children = name != NULL,
                                .children = children,
                                .release = release_schema};
    struct fletch_schema *schema;
    struct fletch_error error;
    interop_check("a schema", fletch_schema_import(&whole, NULL, &schema, &error), &error);
    return schema;
}

static void release_child(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_column(struct ArrowArray *array)
{
    struct column *column = array->private_data;
    array->release = NULL;
    free(column);
}

struct fletch_batch *interop_batch(struct fletch_schema *schema, const uint32_t *values,
                                   size_t count)
{
    struct column *column = malloc(sizeof *column + count * sizeof *values);
    struct fletch_buffer_cache *cache;
    struct fletch_batch *batch;
    struct fletch_error error;
    if (column == NULL)
        interop_check("a batch", FLETCH_RESOURCE_EXHAUSTED, NULL);
    memcpy(column->values, values, count * sizeof *values);
    column->buffers[0] = NULL;
    column->buffers[1] = column->values;
    column->struct_buffers[0] = NULL;
    column->children[0] = &column->child;
    column->child = (struct ArrowArray){.length = (int64_t)count,
                                        .n_buffers = 2,
                                        .buffers = column->buffers,
                                        .release = release_child};
    struct ArrowArray array = {.length = (int64_t)count,
                               .n_buffers = 1,
                               .n_children = 1,
                               .buffers = column->struct_buffers,
                               .children = column->children,
                               .release = release_column,
                               .private_data = column};
    interop_check("a cache", fletch_buffer_cache_open(interop_pool(), &cache, &error), &error);
    const struct fletch_import_options options = {.struct_size = sizeof options, .cache = cache};
    interop_check("a batch", fletch_batch_import(&array, schema, &options, &batch, &error), &error);
    fletch_buffer_cache_close(cache);
    return batch;
}

/* ---- values ---- */

struct fletch_flight_bytes interop_text(const char *text)
{
    return (struct fletch_flight_bytes){text, strlen(text)};
}

bool interop_is(struct fletch_flight_bytes bytes, const char *text)
{
    return bytes.bytes == strlen(text) &&
           (bytes.bytes == 0 || memcmp(bytes.data, text, bytes.bytes) == 0);
}

struct fletch_flight_time interop_time(int64_t seconds)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct fletch_flight_time){now.tv_sec + seconds, (int32_t)now.tv_nsec};
}
