#include "spill/spill_segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "spill/spill_format.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/spilling.h"

/* Files that somebody has damaged: each byte of a frame, and each length. Nothing wrong is ever
 * given out, and the message says where. */

struct scene {
    struct test_disk disk;
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct fletch_spill_segment *segment;
    struct fletch_spill_location before; /* of a frame that nobody touches */
    struct fletch_spill_location location;
};

static void make_scene(struct scene *scene, enum fletch_spill_codec codec)
{
    struct fletch_random random = fletch_random_from_seed(91);
    test_disk_make(&scene->disk);
    scene->pool = test_pool_make();
    scene->schema = schema_new("a=l b=c<u> c=u");
    struct fletch_batch *plain = random_batch(&random, scene->pool.cache, scene->schema, 40);
    scene->batch = batch_with_metadata(&scene->pool, plain, "metadata");
    fletch_batch_release(scene->pool.cache, plain);
    scene->segment = segment_make(&scene->disk, &scene->pool, scene->schema, codec);
    scene->before = frame_append(scene->segment, scene->batch);
    scene->location = frame_append(scene->segment, scene->batch);
}

static void end_scene(struct scene *scene)
{
    fletch_spill_release(&scene->before);
    fletch_spill_release(&scene->location);
    fletch_spill_segment_close(scene->segment);
    fletch_batch_release(scene->pool.cache, scene->batch);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
    test_disk_end(&scene->disk);
}

static void expect_loss(struct scene *scene, const char *part)
{
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {0};
    char offset[64];
    snprintf(offset, sizeof offset, "at offset %" PRIu64 " of a file in '%s'",
             scene->location.offset, scene->disk.path);
    assert_int_equal(
        fletch_spill_read(&scene->location, scene->pool.cache, scene->pool.account, &batch, &error),
        FLETCH_DATA_LOSS);
    assert_null(batch);
    assert_contains(error.message, offset);
    assert_contains(error.message, part);
    assert_int_equal(fletch_spill_read(&scene->location, scene->pool.cache, NULL, &batch, NULL),
                     FLETCH_DATA_LOSS);
}

static void write_byte(const struct scene *scene, uint64_t offset, uint8_t byte)
{
    assert_int_equal(
        pwrite(scene->location.file->fd, &byte, 1, (off_t)(scene->location.offset + offset)), 1);
}

static uint8_t read_byte(const struct scene *scene, uint64_t offset)
{
    uint8_t byte = 0;
    assert_int_equal(
        pread(scene->location.file->fd, &byte, 1, (off_t)(scene->location.offset + offset)), 1);
    return byte;
}

static void each_byte_may_be_wrong(enum fletch_spill_codec codec)
{
    struct scene scene;
    make_scene(&scene, codec);
    uint64_t used = account_used_bytes(scene.pool.account);
    for (uint64_t i = 0; i < scene.location.stored_bytes; i++) {
        uint8_t byte = read_byte(&scene, i);
        write_byte(&scene, i, byte ^ (uint8_t)(1U << i % 8));
        expect_loss(&scene, "crc32c");
        write_byte(&scene, i, byte);
    }
    assert_int_equal(account_used_bytes(scene.pool.account), used);
    frame_expect(&scene.pool, &scene.location, scene.batch);
    frame_expect(&scene.pool, &scene.before, scene.batch);
    end_scene(&scene);
}

static void each_byte_of_a_frame_may_be_wrong(void **state)
{
    (void)state;
    each_byte_may_be_wrong(FLETCH_SPILL_PLAIN);
}

static void each_byte_of_a_compressed_frame_may_be_wrong(void **state)
{
    (void)state;
    each_byte_may_be_wrong(FLETCH_SPILL_LZ4);
    each_byte_may_be_wrong(FLETCH_SPILL_ZSTD);
}

static void file_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct scene scene;
        make_scene(&scene, codec);
        for (uint64_t i = scene.location.stored_bytes; i-- > 0;) {
            char part[64];
            snprintf(part, sizeof part, "the file ends after %" PRIu64 " bytes of it, expected ",
                     i);
            assert_int_equal(ftruncate(scene.location.file->fd, (off_t)(scene.location.offset + i)),
                             0);
            expect_loss(&scene, part);
        }
        frame_expect(&scene.pool, &scene.before, scene.batch);
        end_scene(&scene);
    }
}

/* Writes the CRC32C anew, as if the damage had come before it was counted. */
static void seal(const struct scene *scene)
{
    static uint8_t bytes[1 << 16];
    const struct fletch_spill_location *location = &scene->location;
    size_t size = (size_t)location->stored_bytes;
    assert_true(size <= sizeof bytes);
    assert_int_equal(pread(location->file->fd, bytes, size, (off_t)location->offset), size);
    uint32_t crc = fletch_crc32c_scalar(0, bytes, size - sizeof crc);
    memcpy(bytes + size - sizeof crc, &crc, sizeof crc);
    assert_int_equal(pwrite(location->file->fd, bytes, size, (off_t)location->offset), size);
}

/* Even a frame that was wrong before it was written does no harm. */
static void each_byte_may_be_wrong_with_a_right_crc32c(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct scene scene;
        make_scene(&scene, codec);
        uint64_t refused = 0;
        uint64_t sealed = scene.location.stored_bytes - sizeof(uint32_t);
        for (uint64_t i = 0; i < sealed; i++) {
            struct fletch_batch *batch = NULL;
            struct fletch_error error = {0};
            uint8_t byte = read_byte(&scene, i);
            write_byte(&scene, i, byte ^ 0x81);
            seal(&scene);
            enum fletch_status status = fletch_spill_read(&scene.location, scene.pool.cache,
                                                          scene.pool.account, &batch, &error);
            if (status == FLETCH_OK)
                assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_OFFSETS, NULL));
            else
                assert_int_equal(status, FLETCH_DATA_LOSS);
            refused += status != FLETCH_OK;
            fletch_batch_release(scene.pool.cache, batch);
            write_byte(&scene, i, byte);
        }
        assert_true(refused > 30);
        seal(&scene);
        frame_expect(&scene.pool, &scene.location, scene.batch);
        end_scene(&scene);
    }
}

static void frame_of_another_place_is_told(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, FLETCH_SPILL_PLAIN);
    struct fletch_spill_location location = scene.location;
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {0};
    /* A smaller frame that ends where this one does. */
    struct fletch_spill_trailer trailer;
    uint64_t end = location.offset + location.stored_bytes;
    assert_int_equal(
        pread(location.file->fd, &trailer, sizeof trailer, (off_t)(end - sizeof trailer)),
        sizeof trailer);
    trailer.payload_bytes -= 8;
    assert_int_equal(
        pwrite(location.file->fd, &trailer, sizeof trailer, (off_t)(end - sizeof trailer)),
        sizeof trailer);
    seal(&scene);
    assert_int_equal(fletch_spill_read(&location, scene.pool.cache, NULL, &batch, &error),
                     FLETCH_DATA_LOSS);
    assert_contains(error.message, "trailer is that of another one");
    end_scene(&scene);
}

static void damage_quarantines(void **state)
{
    (void)state;
    struct scene scene;
    struct fletch_spill_location location;
    struct fletch_error error = {0};
    make_scene(&scene, FLETCH_SPILL_PLAIN);
    assert_int_equal(fletch_spill_segment_state(scene.segment), FLETCH_SPILL_OPEN);
    write_byte(&scene, 3, 0);
    expect_loss(&scene, "crc32c");
    assert_int_equal(fletch_spill_segment_state(scene.segment), FLETCH_SPILL_QUARANTINED);
    assert_int_equal(fletch_spill_segment_append(scene.segment, scene.batch, &location, &error),
                     FLETCH_UNAVAILABLE);
    assert_contains(error.message, scene.disk.path);
    assert_contains(error.message, "the disk failed before");
    frame_expect(&scene.pool, &scene.before, scene.batch);
    end_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_of_a_frame_may_be_wrong),
        cmocka_unit_test(each_byte_of_a_compressed_frame_may_be_wrong),
        cmocka_unit_test(file_may_be_cut_anywhere),
        cmocka_unit_test(each_byte_may_be_wrong_with_a_right_crc32c),
        cmocka_unit_test(frame_of_another_place_is_told),
        cmocka_unit_test(damage_quarantines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
