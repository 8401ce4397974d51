#include "arrow/ipc_message.h"

#include <string.h>

#include "arrow/flatbuffer_writer.h"
#include "arrow/ipc_schema_writer.h"
#include "support/cmocka_tests.h"

/* A RecordBatch message of one node and two buffers. */
struct told {
    int16_t version;
    uint8_t type;
    int64_t body_bytes;
    bool has_header;
    int codec; /* -1: not compressed */
    const char *metadata;
    size_t metadata_bytes;
};

static const struct told plain = {
    .version = FLETCH_IPC_V5,
    .type = FLETCH_IPC_HEADER_BATCH,
    .body_bytes = 128,
    .has_header = true,
    .codec = -1,
};

enum { BYTES_MOST = 1024 };

static uint32_t field_of(const struct fletch_flatbuffer_layout *layout, uint32_t table,
                         unsigned slot)
{
    return fletch_flatbuffer_field(layout, table, slot);
}

static uint32_t write_batch(struct fletch_flatbuffer_writer *writer, int codec)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_batch_layout;
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, codec < 0 ? 7 : 15);
    fletch_flatbuffer_set(writer, field_of(layout, table, FLETCH_BATCH_LENGTH), &(int64_t){5}, 8);
    uint32_t elements;
    uint32_t vector = fletch_flatbuffer_add_vector(writer, 1, FLETCH_IPC_NODE_BYTES, 8, &elements);
    fletch_flatbuffer_refer(writer, field_of(layout, table, FLETCH_BATCH_NODES), vector);
    vector = fletch_flatbuffer_add_vector(writer, 2, FLETCH_IPC_BUFFER_BYTES, 8, &elements);
    fletch_flatbuffer_refer(writer, field_of(layout, table, FLETCH_BATCH_BUFFERS), vector);
    if (codec < 0)
        return table;
    uint32_t compression = fletch_flatbuffer_add_table(writer, &fletch_ipc_type_layout, 1);
    fletch_flatbuffer_set(writer, field_of(&fletch_ipc_type_layout, compression, 0), &codec, 1);
    fletch_flatbuffer_refer(writer, field_of(layout, table, FLETCH_BATCH_COMPRESSION), compression);
    return table;
}

static size_t write_message(const struct told *told, uint8_t *bytes)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_message_layout;
    struct fletch_flatbuffer_writer writer;
    fletch_flatbuffer_begin(&writer, bytes, BYTES_MOST);
    uint32_t present = 1U << FLETCH_MESSAGE_VERSION | 1U << FLETCH_MESSAGE_HEADER_TYPE |
                       1U << FLETCH_MESSAGE_BODY_LENGTH |
                       (uint32_t)told->has_header << FLETCH_MESSAGE_HEADER |
                       (uint32_t)(told->metadata != NULL) << FLETCH_MESSAGE_METADATA;
    uint32_t table = fletch_flatbuffer_add_table(&writer, layout, present);
    fletch_flatbuffer_set(&writer, field_of(layout, table, FLETCH_MESSAGE_VERSION), &told->version,
                          2);
    fletch_flatbuffer_set(&writer, field_of(layout, table, FLETCH_MESSAGE_HEADER_TYPE), &told->type,
                          1);
    fletch_flatbuffer_set(&writer, field_of(layout, table, FLETCH_MESSAGE_BODY_LENGTH),
                          &told->body_bytes, 8);
    if (told->has_header)
        fletch_flatbuffer_refer(&writer, field_of(layout, table, FLETCH_MESSAGE_HEADER),
                                write_batch(&writer, told->codec));
    if (told->metadata != NULL) {
        struct fletch_metadata metadata = {told->metadata, told->metadata_bytes, 2};
        fletch_flatbuffer_refer(&writer, field_of(layout, table, FLETCH_MESSAGE_METADATA),
                                fletch_ipc_metadata_write(&writer, &metadata));
    }
    assert_false(writer.overflowed);
    return writer.size;
}

static enum fletch_status open_told(const struct told *told, struct fletch_ipc_message *message,
                                    uint8_t *bytes, struct fletch_error *error)
{
    size_t size = write_message(told, bytes);
    return fletch_ipc_message_open(message, bytes, size, 1000, error);
}

static void a_head_is_read(void **state)
{
    (void)state;
    struct fletch_ipc_message message;
    uint8_t bytes[BYTES_MOST];
    assert_ok(open_told(&plain, &message, bytes, NULL));
    assert_int_equal(message.type, FLETCH_IPC_HEADER_BATCH);
    assert_int_equal(message.version, FLETCH_IPC_V5);
    assert_int_equal(message.body_bytes, 128);
    struct fletch_ipc_batch_header header;
    assert_ok(fletch_ipc_batch_header_open(&message, &message.header, &header, NULL));
    assert_int_equal(header.row_count, 5);
    assert_int_equal(header.nodes.count, 1);
    assert_int_equal(header.buffers.count, 2);
    struct told old = plain;
    old.version = FLETCH_IPC_V4;
    assert_ok(open_told(&old, &message, bytes, NULL));
    assert_int_equal(message.version, FLETCH_IPC_V4);
}

static void expect(const struct told *told, enum fletch_status status, const char *text)
{
    struct fletch_ipc_message message;
    struct fletch_error error = {0};
    uint8_t bytes[BYTES_MOST];
    assert_int_equal(open_told(told, &message, bytes, &error), status);
    assert_contains(error.message, text);
}

static void bad_heads_are_refused(void **state)
{
    (void)state;
    struct told told = plain;
    told.version = 2;
    expect(&told, FLETCH_INVALID_ARGUMENT, "metadata version V3, expected V4 or V5");
    told.version = 5;
    expect(&told, FLETCH_UNIMPLEMENTED, "metadata version V6, expected V4 or V5");
    told = plain;
    told.type = 0;
    expect(&told, FLETCH_INVALID_ARGUMENT, "message of type 0");
    told.type = 6;
    expect(&told, FLETCH_INVALID_ARGUMENT, "message of type 6");
    told.type = FLETCH_IPC_HEADER_TENSOR;
    expect(&told, FLETCH_UNIMPLEMENTED, "message of type tensor");
    told = plain;
    told.has_header = false;
    expect(&told, FLETCH_INVALID_ARGUMENT, "record batch has no header");
    told = plain;
    told.body_bytes = -1;
    expect(&told, FLETCH_INVALID_ARGUMENT, "body of -1 bytes, expected 0 to 1000");
    told.body_bytes = 1001;
    expect(&told, FLETCH_INVALID_ARGUMENT, "body of 1001 bytes");
    told.body_bytes = INT64_MIN;
    expect(&told, FLETCH_INVALID_ARGUMENT, "body of -9223372036854775808 bytes");
}

static void compression_is_told(void **state)
{
    (void)state;
    static const struct {
        int codec;
        enum fletch_status status;
        enum fletch_codec found;
    } cases[] = {
        {-1, FLETCH_OK, FLETCH_CODEC_NONE},
        {0, FLETCH_OK, FLETCH_CODEC_LZ4_FRAME},
        {1, FLETCH_OK, FLETCH_CODEC_ZSTD},
        {2, FLETCH_INVALID_ARGUMENT, FLETCH_CODEC_NONE},
        {255, FLETCH_INVALID_ARGUMENT, FLETCH_CODEC_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct told told = plain;
        told.codec = cases[i].codec;
        struct fletch_ipc_message message;
        struct fletch_ipc_batch_header header;
        struct fletch_error error = {0};
        uint8_t bytes[BYTES_MOST];
        assert_ok(open_told(&told, &message, bytes, &error));
        assert_int_equal(fletch_ipc_batch_header_open(&message, &message.header, &header, &error),
                         cases[i].status);
        if (cases[i].status == FLETCH_OK)
            assert_int_equal(header.codec, cases[i].found);
        else
            assert_contains(error.message, "expected codec 0 (LZ4_FRAME) or 1 (ZSTD)");
    }
}

static void custom_metadata_is_kept(void **state)
{
    (void)state;
    static const char pairs[] = "\2\0\0\0\1\0\0\0a\2\0\0\0bc\0\0\0\0\3\0\0\0d\0e";
    size_t pairs_bytes = sizeof pairs - 1;
    struct told told = plain;
    told.metadata = pairs;
    told.metadata_bytes = pairs_bytes;
    struct fletch_ipc_message message;
    uint8_t bytes[BYTES_MOST];
    assert_ok(open_told(&told, &message, bytes, NULL));
    size_t measured = 0;
    struct fletch_ipc_pairs found = fletch_ipc_message_pairs(&message);
    assert_ok(fletch_ipc_pairs_measure(&found, 100, &measured, NULL));
    assert_int_equal(measured, pairs_bytes);
    char written[64];
    struct fletch_metadata metadata = fletch_ipc_pairs_write(&found, written, measured);
    assert_int_equal(metadata.count, 2);
    assert_memory_equal(written, pairs, pairs_bytes);
    struct fletch_error error = {0};
    assert_int_equal(fletch_ipc_pairs_measure(&found, pairs_bytes - 1, &measured, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "custom metadata");
    assert_ok(open_told(&plain, &message, bytes, NULL));
    found = fletch_ipc_message_pairs(&message);
    assert_ok(fletch_ipc_pairs_measure(&found, 0, &measured, NULL));
    assert_int_equal(measured, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read),
        cmocka_unit_test(bad_heads_are_refused),
        cmocka_unit_test(compression_is_told),
        cmocka_unit_test(custom_metadata_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
