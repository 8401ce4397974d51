"""fletch-hash-1 of whole columns, by numpy and pyarrow, from docs/format/hash.md: for tables that
are too large for hash_model.py, which it is compared with by test_hash_numpy.py.

Types without children: null, bool, integers, floats, decimals of up to 128 bits, dates, times,
timestamps, durations, text and binary, dictionaries of these."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROW, NULL = np.uint64(0x243F6A8885A308D3), np.uint64(0x452821E638D01377)
KEY_A, KEY_B = np.uint64(0xBE5466CF34E90C6C), np.uint64(0xC0AC29B7C97C50DD)
LENGTH = np.uint64(0x3F84D5B5B5470917)
LOW = np.uint64(0xFFFFFFFF)


def u64(number):
    return np.uint64(number)


def mix(x):
    x = x ^ (x >> u64(27))
    x = x * u64(0x3C79AC492BA7B653)
    x = x ^ (x >> u64(33))
    x = x * u64(0x1C69B3F74AC4AE35)
    return x ^ (x >> u64(27))


def step(h, w):
    return mix(h + w)


def rotl(x, n):
    return (x << u64(n)) | (x >> u64(64 - n))


def fold(x, y):
    """Both halves of the 128-bit product, by 32-bit parts."""
    x0, x1, y0, y1 = x & LOW, x >> u64(32), y & LOW, y >> u64(32)
    low = x0 * y0
    middle = x1 * y0 + (low >> u64(32))
    other = x0 * y1 + (middle & LOW)
    high = x1 * y1 + (middle >> u64(32)) + (other >> u64(32))
    return (x * y) ^ high


def words_of_bytes(data, starts, lengths):
    """The words of strings: bytes `starts` to `starts + lengths` of `data`."""
    h = lengths.astype(np.uint64) * LENGTH
    padded = np.concatenate([data, np.zeros(32, np.uint8)])
    words = np.lib.stride_tricks.as_strided(padded[:8].view(np.uint64),
                                            shape=(len(padded) - 8 + 1,), strides=(1,))
    rows = np.arange(len(starts))
    block = 0
    while True:
        rows = rows[lengths[rows] > 16 * block]
        if len(rows) == 0:
            return h
        at = starts[rows] + 16 * block
        left = np.minimum(lengths[rows] - 16 * block, 16).astype(np.int64)
        a = words[at] & keep_bytes(np.minimum(left, 8))
        b = words[np.minimum(at + 8, len(padded) - 8)] & keep_bytes(np.maximum(left - 8, 0))
        h[rows] = rotl(h[rows], 29) + fold(a ^ KEY_A, b ^ KEY_B) + (a ^ rotl(b, 32))
        block += 1


def keep_bytes(count):
    """Masks of the lowest `count` bytes, 0 to 8."""
    return np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)[count]


def buffer_as(array, index, kind, extra=0):
    """A buffer of an array as numbers, from its offset on."""
    buffer = array.buffers()[index]
    if buffer is None:
        return np.zeros(0, kind)
    return np.frombuffer(buffer, kind)[array.offset:array.offset + len(array) + extra]


def text_words(array, is_large):
    offsets = buffer_as(array, 1, np.int64 if is_large else np.int32, 1).astype(np.int64)
    data = array.buffers()[2]
    data = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    if len(offsets) == 0:
        return np.zeros(0, np.uint64)
    return words_of_bytes(data, offsets[:-1], np.diff(offsets))


def decimal_words(array):
    pairs = np.frombuffer(array.buffers()[1], np.int64).reshape(-1, 2)
    pairs = pairs[array.offset:array.offset + len(array)]
    low, high = pairs[:, 0], pairs[:, 1]
    words = low.view(np.uint64) if low.flags.c_contiguous else low.copy().view(np.uint64)
    wide = np.flatnonzero(high != low >> 63)
    if len(wide):
        data = np.ascontiguousarray(pairs[wide]).view(np.uint8).reshape(-1)
        words = words.copy()
        words[wide] = words_of_bytes(data, np.arange(len(wide)) * 16,
                                     np.full(len(wide), 16, np.int64))
    return words


def double_words(array):
    with np.errstate(invalid="ignore"):
        values = buffer_as(array, 1, {2: np.float16, 4: np.float32, 8: np.float64}
                           [array.type.bit_width // 8]).astype(np.float64) + 0.0
    words = values.view(np.uint64).copy()
    words[np.isnan(values)] = u64(0x7FF8000000000000)
    return words


def words_of_valid(array):
    """The words of an array as if nothing were null."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return pc.fill_null(array, False).cast(pa.uint8()).to_numpy().astype(np.uint64)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return text_words(array, False)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return text_words(array, True)
    if pa.types.is_decimal128(kind):
        return decimal_words(array)
    if pa.types.is_floating(kind):
        return double_words(array)
    if pa.types.is_unsigned_integer(kind):
        return buffer_as(array, 1, f"u{kind.bit_width // 8}").astype(np.uint64)
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return buffer_as(array, 1, f"i{kind.bit_width // 8}").astype(np.int64).view(np.uint64)
    raise TypeError(f"no words for {kind}")


def words(array):
    """The words of an array's values, 64 bits each."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return np.full(len(array), NULL)
    found = words_of_valid(array)
    if array.null_count:
        found = np.where(array.is_null().to_numpy(zero_copy_only=False), NULL, found)
    return found


def row_hashes(batch, columns=None):
    """The hashes of the rows of a record batch by columns of these names; None: by all."""
    arrays = batch.columns if columns is None else [batch.column(name) for name in columns]
    h = np.full(batch.num_rows, ROW)
    for array in arrays:
        h = step(h, words(array))
    return h


def virtual_nodes(partitions):
    nodes = 1024
    while nodes < 64 * partitions:
        nodes *= 2
    return nodes


def partitions_of(hashes, partitions):
    nodes = virtual_nodes(partitions)
    return (hashes % u64(nodes)).astype(np.int64) * partitions // nodes


def row_sum(batches):
    """The row sum of batches: modulo 2^64."""
    return sum(int(row_hashes(batch).sum(dtype=np.uint64)) for batch in batches) % (1 << 64)
