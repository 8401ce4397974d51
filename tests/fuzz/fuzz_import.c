/* Import of structures of the C data interface that bytes made up: what is wrong is refused and
 * left alone; what is taken is valid, comes back whole from export, and is released once. */

#include "fuzz/fuzz_target.h"

#include <fletching/fletching.h>

#include <string.h>

#include "fuzz/hostile_arrays.h"
#include "fuzz/ipc_input.h"
#include "fuzz/walk.h"

enum { WALK_MOST = 1 << 16 };

static struct ipc_input input;
static struct hostile hostile;

static void check_refusal(const char *what, enum fletch_status status,
                          const struct fletch_error *error)
{
    if ((status != FLETCH_INVALID_ARGUMENT && status != FLETCH_UNIMPLEMENTED) ||
        error->status != status || strlen(error->message) < 16)
        fuzz_stop(what, error->message);
}

static struct fletch_batch *take(struct ArrowArray *array, struct fletch_schema *schema,
                                 const struct fletch_import_options *options)
{
    const struct ArrowArray before = *array;
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    const enum fletch_status status = fletch_batch_import(array, schema, options, &batch, &error);
    if (status == FLETCH_OK) {
        if (array->release != NULL)
            fuzz_stop("import", "took an array and left its release");
        return batch;
    }
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        check_refusal("import", status, &error);
    if (memcmp(array, &before, sizeof before) != 0)
        fuzz_stop("import", "changed what it refused");
    return NULL;
}

/* What level 1 alone has passed may point anywhere. */
static void send_round(struct fletch_batch *batch, const struct fletch_import_options *options)
{
    struct ArrowArray array;
    struct fletch_error error;
    if (fletch_batch_export(batch, input.cache, &array, &error) != FLETCH_OK)
        fuzz_stop("export", error.message);
    struct fletch_batch *again = take(&array, batch->schema, options);
    if (again == NULL)
        fuzz_stop("import", "refuses what was exported");
    if (options->validation >= FLETCH_VALIDATION_OFFSETS && walk_is_short(batch, WALK_MOST) &&
        fletch_hash_row_sum(batch) != fletch_hash_row_sum(again))
        fuzz_stop("import", "other rows than were exported");
    fletch_batch_release(input.cache, again);
}

/* The same source with ever more of the memory that it takes, until there is enough. */
static void take_poorly(struct ArrowArray *array, struct fletch_schema *schema,
                        struct fletch_import_options options, uint64_t most)
{
    for (uint64_t limit = 1; limit < most && hostile.array_releases == 0; limit *= 3) {
        options.account = ipc_input_account(&input, limit);
        struct fletch_batch *batch = take(array, schema, &options);
        fletch_batch_release(input.cache, batch);
        ipc_input_account_end(options.account, "import with little memory");
    }
}

static void check_releases(const struct fletch_batch *batch)
{
    if (batch == NULL && hostile.array_releases != 0)
        fuzz_stop("import", "released what it refused");
    if (batch != NULL && hostile.array_releases != 1)
        fuzz_stop("import", "did not release once what it took");
}

static void try_array(struct fletch_schema *schema, struct fuzz_bytes bytes,
                      enum fletch_validation level)
{
    struct fletch_import_options options = {
        .struct_size = sizeof options, .cache = input.cache, .validation = level};
    struct ArrowArray *array = &hostile.nodes[0].array;
    hostile_make(&hostile, bytes);
    if (array->release != NULL) {
        options.account = ipc_input_account(&input, 0);
        struct fletch_batch *batch = take(array, schema, &options);
        if (batch != NULL)
            send_round(batch, &options);
        fletch_batch_release(input.cache, batch);
        check_releases(batch);
        const uint64_t most = ipc_input_account_end(options.account, "import");
        hostile_end(&hostile);
        hostile_make(&hostile, bytes);
        take_poorly(array, schema, options, most);
    }
    hostile_end(&hostile);
}

/* What was taken of a schema comes back whole, metadata and all. */
static void send_schema_round(struct fletch_schema *schema)
{
    struct ArrowSchema exported;
    struct fletch_schema *again = NULL;
    struct fletch_error error;
    if (fletch_schema_export(schema, NULL, &exported, &error) != FLETCH_OK ||
        fletch_schema_import(&exported, NULL, &again, &error) != FLETCH_OK ||
        fletch_schema_compare(schema, again, FLETCH_COMPARE_METADATA, &error) != FLETCH_OK)
        fuzz_stop("schema that was exported", error.message);
    fletch_schema_release(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct fuzz_bytes all = {bytes, size};
    if (input.pool == NULL)
        ipc_input_start(&input);
    hostile_make(&hostile, all);
    struct ArrowSchema *source = &hostile.nodes[0].schema;
    struct fletch_schema *schema = NULL;
    struct fletch_error error;
    const enum fletch_status status = fletch_schema_import(source, NULL, &schema, &error);
    if (hostile.schema_releases != (status == FLETCH_OK ? 1 : 0))
        fuzz_stop("schema", "released what it refused, or not once what it took");
    hostile_end(&hostile);
    if (status != FLETCH_OK)
        check_refusal("schema", status, &error);
    else
        send_schema_round(schema);
    for (int level = 1; status == FLETCH_OK && level <= FLETCH_VALIDATION_FULL; level++)
        try_array(schema, all, (enum fletch_validation)level);
    fletch_schema_release(schema);
    return 0;
}
