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

static struct fletch_batch *take(struct ArrowArray *array, struct fletch_schema *schema)
{
    const struct fletch_import_options options = {
        .struct_size = sizeof options, .cache = input.cache, .validation = FLETCH_VALIDATION_FULL};
    const struct ArrowArray before = *array;
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    const enum fletch_status status = fletch_batch_import(array, schema, &options, &batch, &error);
    if (status == FLETCH_OK) {
        if (array->release != NULL)
            fuzz_stop("import", "took an array and left its release");
        return batch;
    }
    check_refusal("import", status, &error);
    if (memcmp(array, &before, sizeof before) != 0)
        fuzz_stop("import", "changed what it refused");
    return NULL;
}

static void send_round(struct fletch_batch *batch)
{
    struct ArrowArray array;
    struct fletch_error error;
    if (fletch_batch_export(batch, input.cache, &array, &error) != FLETCH_OK)
        fuzz_stop("export", error.message);
    struct fletch_batch *again = take(&array, batch->schema);
    if (again == NULL)
        fuzz_stop("import", "refuses what was exported");
    if (walk_is_short(batch, WALK_MOST) && fletch_hash_row_sum(batch) != fletch_hash_row_sum(again))
        fuzz_stop("import", "other rows than were exported");
    fletch_batch_release(input.cache, again);
}

static void try_array(struct fletch_schema *schema)
{
    struct ArrowArray *array = &hostile.nodes[0].array;
    if (array->release == NULL)
        return;
    struct fletch_batch *batch = take(array, schema);
    if (batch == NULL) {
        if (hostile.array_releases != 0)
            fuzz_stop("import", "released what it refused");
        return;
    }
    send_round(batch);
    fletch_batch_release(input.cache, batch);
    if (hostile.array_releases != 1)
        fuzz_stop("import", "did not release once what it took");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (input.pool == NULL)
        ipc_input_start(&input);
    hostile_make(&hostile, (struct fuzz_bytes){bytes, size});
    struct ArrowSchema *source = &hostile.nodes[0].schema;
    struct fletch_schema *schema = NULL;
    struct fletch_error error;
    const enum fletch_status status = fletch_schema_import(source, NULL, &schema, &error);
    if (status == FLETCH_OK) {
        if (hostile.schema_releases != 1)
            fuzz_stop("schema", "did not release once what it took");
        try_array(schema);
    } else {
        check_refusal("schema", status, &error);
        if (hostile.schema_releases != 0)
            fuzz_stop("schema", "released what it refused");
    }
    fletch_schema_release(schema);
    hostile_end(&hostile);
    return 0;
}
