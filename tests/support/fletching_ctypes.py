"""The library's C data interface for Python tests, through ctypes: the structures, and the few
calls that take and give them. Nothing but tests uses it."""

import ctypes
import os

OK = 0
INVALID_ARGUMENT = 3
UNIMPLEMENTED = 12


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 480)]


class ArrowSchema(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p * 7), ("release", ctypes.c_void_p),
                ("private_data", ctypes.c_void_p)]


class ArrowArray(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p * 8), ("release", ctypes.c_void_p),
                ("private_data", ctypes.c_void_p)]


class ArrowArrayStream(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p * 3), ("release", ctypes.c_void_p),
                ("private_data", ctypes.c_void_p)]


class PoolOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("huge_pages", ctypes.c_int),
                ("cache_bytes", ctypes.c_size_t)]


class ImportOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("cache", ctypes.c_void_p),
                ("account", ctypes.c_void_p), ("validation", ctypes.c_int),
                ("allocator", ctypes.c_void_p)]


class BatchSource(ctypes.Structure):
    _fields_ = [("schema", ctypes.c_void_p), ("next", ctypes.c_void_p),
                ("close", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class Failure(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode())
        self.status = error.status


POINTER = ctypes.c_void_p
STATUS_CALLS = {
    "fletch_buffer_pool_create": 4,
    "fletch_buffer_pool_destroy": 2,
    "fletch_buffer_cache_open": 3,
    "fletch_schema_import": 4,
    "fletch_schema_export": 4,
    "fletch_batch_import": 5,
    "fletch_batch_export": 4,
    "fletch_stream_import": 4,
    "fletch_stream_export": 5,
}
VOID_CALLS = {
    "fletch_buffer_cache_close": 1,
    "fletch_schema_release": 1,
    "fletch_batch_release": 2,
}


class Library:
    """A pool with one cache; what is made is passed on as plain addresses."""

    def __init__(self):
        self.calls = ctypes.CDLL(os.environ["FLETCH_LIBRARY"])
        for name, count in STATUS_CALLS.items():
            getattr(self.calls, name).argtypes = [POINTER] * count
            getattr(self.calls, name).restype = ctypes.c_int
        for name, count in VOID_CALLS.items():
            getattr(self.calls, name).argtypes = [POINTER] * count
            getattr(self.calls, name).restype = None
        self.pool = POINTER()
        self.cache = POINTER()
        options = PoolOptions(struct_size=ctypes.sizeof(PoolOptions))
        self.call("fletch_buffer_pool_create", ctypes.byref(options), None,
                  ctypes.byref(self.pool))
        self.call("fletch_buffer_cache_open", self.pool, ctypes.byref(self.cache))

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.calls, name)(*arguments, ctypes.byref(error)) != OK:
            raise Failure(error)

    def close(self):
        """Fails if a buffer is still referred to."""
        self.calls.fletch_buffer_cache_close(self.cache)
        self.call("fletch_buffer_pool_destroy", self.pool)

    def import_options(self, validation):
        return ImportOptions(struct_size=ctypes.sizeof(ImportOptions), cache=self.cache,
                             validation=validation)

    def schema_import(self, address):
        schema = POINTER()
        self.call("fletch_schema_import", address, None, ctypes.byref(schema))
        return schema

    def schema_export(self, schema, address):
        self.call("fletch_schema_export", schema, None, address)

    def schema_release(self, schema):
        self.calls.fletch_schema_release(schema)

    def batch_import(self, address, schema, validation=3):
        batch = POINTER()
        options = self.import_options(validation)
        self.call("fletch_batch_import", address, schema, ctypes.byref(options),
                  ctypes.byref(batch))
        return batch

    def batch_export(self, batch, address):
        self.call("fletch_batch_export", batch, self.cache, address)

    def batch_release(self, batch):
        self.calls.fletch_batch_release(self.cache, batch)

    def stream_through(self, address, out_address, validation=3):
        """Takes the stream at `address` and gives it out again at `out_address`."""
        source = BatchSource()
        options = self.import_options(validation)
        self.call("fletch_stream_import", address, ctypes.byref(options), ctypes.byref(source))
        self.call("fletch_stream_export", ctypes.byref(source), self.cache, None, out_address)


def capsule_address(capsule, name):
    """What a PyCapsule of the Arrow PyCapsule interface points to."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype = ctypes.c_void_p
    get.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, name)
