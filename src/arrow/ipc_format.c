#include "arrow/ipc_format.h"

const char fletch_ipc_magic[FLETCH_IPC_MAGIC_BYTES + 1] = "ARROW1";

/* Tables begin with 4 bytes of their own. */
const struct fletch_flatbuffer_layout fletch_ipc_message_layout = {5, 24, {4, 6, 8, 16, 12}};
const struct fletch_flatbuffer_layout fletch_ipc_schema_layout = {4, 16, {4, 8, 12, 0}};
const struct fletch_flatbuffer_layout fletch_ipc_field_layout = {7, 32, {8, 4, 5, 12, 16, 20, 24}};
const struct fletch_flatbuffer_layout fletch_ipc_encoding_layout = {4, 24, {8, 4, 16, 18}};
const struct fletch_flatbuffer_layout fletch_ipc_pair_layout = {2, 16, {4, 8}};
const struct fletch_flatbuffer_layout fletch_ipc_batch_layout = {5, 32, {8, 4, 16, 20, 24}};
const struct fletch_flatbuffer_layout fletch_ipc_compression_layout = {2, 8, {4, 5}};
const struct fletch_flatbuffer_layout fletch_ipc_dictionary_layout = {3, 24, {8, 4, 16}};
const struct fletch_flatbuffer_layout fletch_ipc_footer_layout = {5, 24, {4, 8, 12, 16, 20}};
const struct fletch_flatbuffer_layout fletch_ipc_type_layout = {3, 16, {4, 8, 12}};

enum {
    UNION_NULL = 1,
    UNION_INT = FLETCH_IPC_TYPE_INT,
    UNION_FLOAT = 3,
    UNION_BINARY = 4,
    UNION_UTF8 = 5,
    UNION_BOOL = 6,
    UNION_DECIMAL = 7,
    UNION_DATE = 8,
    UNION_TIME = 9,
    UNION_TIMESTAMP = 10,
    UNION_INTERVAL = 11,
    UNION_LIST = 12,
    UNION_STRUCT = 13,
    UNION_UNION = 14,
    UNION_FIXED_SIZE_BINARY = 15,
    UNION_FIXED_SIZE_LIST = 16,
    UNION_MAP = 17,
    UNION_DURATION = 18,
    UNION_LARGE_BINARY = 19,
    UNION_LARGE_UTF8 = 20,
    UNION_LARGE_LIST = 21,
    UNION_RUN_END_ENCODED = 22,
    UNION_BINARY_VIEW = 23,
    UNION_UTF8_VIEW = 24,
    UNION_LIST_VIEW = 25,
    UNION_LARGE_LIST_VIEW = 26
};

/* Slot, bytes, what an absent field means, and the value that is the type's. */
#define PLAIN(type) \
    { \
        .union_type = (type) \
    }
#define INTEGER(bits, is_signed) \
    { \
        UNION_INT, \
        { \
            {0, 4, 0, (bits)}, \
            { \
                1, 1, 0, (is_signed) \
            } \
        } \
    }
#define FLOAT(precision) \
    { \
        UNION_FLOAT, \
        { \
            { \
                0, 2, 0, (precision) \
            } \
        } \
    }
#define DECIMAL(bits) \
    { \
        UNION_DECIMAL, \
        { \
            { \
                2, 4, 128, (bits) \
            } \
        } \
    }
#define DATE(unit) \
    { \
        UNION_DATE, \
        { \
            { \
                0, 2, 1, (unit) \
            } \
        } \
    }
#define TIME(bits) \
    { \
        UNION_TIME, \
        { \
            { \
                1, 4, 32, (bits) \
            } \
        } \
    }
#define INTERVAL(unit) \
    { \
        UNION_INTERVAL, \
        { \
            { \
                0, 2, 0, (unit) \
            } \
        } \
    }
#define UNION(mode) \
    { \
        UNION_UNION, \
        { \
            { \
                0, 2, 0, (mode) \
            } \
        } \
    }

const struct fletch_ipc_type fletch_ipc_types[FLETCH_TYPE_COUNT] = {
    [FLETCH_TYPE_NULL] = PLAIN(UNION_NULL),
    [FLETCH_TYPE_BOOL] = PLAIN(UNION_BOOL),
    [FLETCH_TYPE_INT8] = INTEGER(8, 1),
    [FLETCH_TYPE_UINT8] = INTEGER(8, 0),
    [FLETCH_TYPE_INT16] = INTEGER(16, 1),
    [FLETCH_TYPE_UINT16] = INTEGER(16, 0),
    [FLETCH_TYPE_INT32] = INTEGER(32, 1),
    [FLETCH_TYPE_UINT32] = INTEGER(32, 0),
    [FLETCH_TYPE_INT64] = INTEGER(64, 1),
    [FLETCH_TYPE_UINT64] = INTEGER(64, 0),
    [FLETCH_TYPE_HALF] = FLOAT(0),
    [FLETCH_TYPE_FLOAT] = FLOAT(1),
    [FLETCH_TYPE_DOUBLE] = FLOAT(2),
    [FLETCH_TYPE_DECIMAL32] = DECIMAL(32),
    [FLETCH_TYPE_DECIMAL64] = DECIMAL(64),
    [FLETCH_TYPE_DECIMAL128] = DECIMAL(128),
    [FLETCH_TYPE_DECIMAL256] = DECIMAL(256),
    [FLETCH_TYPE_UTF8] = PLAIN(UNION_UTF8),
    [FLETCH_TYPE_LARGE_UTF8] = PLAIN(UNION_LARGE_UTF8),
    [FLETCH_TYPE_BINARY] = PLAIN(UNION_BINARY),
    [FLETCH_TYPE_LARGE_BINARY] = PLAIN(UNION_LARGE_BINARY),
    [FLETCH_TYPE_FIXED_SIZE_BINARY] = PLAIN(UNION_FIXED_SIZE_BINARY),
    [FLETCH_TYPE_DATE32] = DATE(0),
    [FLETCH_TYPE_DATE64] = DATE(1),
    [FLETCH_TYPE_TIME32] = TIME(32),
    [FLETCH_TYPE_TIME64] = TIME(64),
    [FLETCH_TYPE_TIMESTAMP] = PLAIN(UNION_TIMESTAMP),
    [FLETCH_TYPE_DURATION] = PLAIN(UNION_DURATION),
    [FLETCH_TYPE_INTERVAL_MONTHS] = INTERVAL(0),
    [FLETCH_TYPE_INTERVAL_DAY_TIME] = INTERVAL(1),
    [FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO] = INTERVAL(2),
    [FLETCH_TYPE_LIST] = PLAIN(UNION_LIST),
    [FLETCH_TYPE_LARGE_LIST] = PLAIN(UNION_LARGE_LIST),
    [FLETCH_TYPE_STRUCT] = PLAIN(UNION_STRUCT),
    [FLETCH_TYPE_MAP] = PLAIN(UNION_MAP),
    [FLETCH_TYPE_UTF8_VIEW] = PLAIN(UNION_UTF8_VIEW),
    [FLETCH_TYPE_BINARY_VIEW] = PLAIN(UNION_BINARY_VIEW),
    [FLETCH_TYPE_LIST_VIEW] = PLAIN(UNION_LIST_VIEW),
    [FLETCH_TYPE_LARGE_LIST_VIEW] = PLAIN(UNION_LARGE_LIST_VIEW),
    [FLETCH_TYPE_FIXED_SIZE_LIST] = PLAIN(UNION_FIXED_SIZE_LIST),
    [FLETCH_TYPE_DENSE_UNION] = UNION(1),
    [FLETCH_TYPE_SPARSE_UNION] = UNION(0),
    [FLETCH_TYPE_RUN_END_ENCODED] = PLAIN(UNION_RUN_END_ENCODED),
};
