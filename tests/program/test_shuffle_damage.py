"""Files that are damaged in each of their sections: the shuffle ends with the code of a bad input,
names the file and the place, and leaves nothing behind."""

import os
import shutil
import struct
import sys
import unittest

sys.dont_write_bytecode = True

from program import INPUT, ProgramTest, numbers, pa, run, write  # noqa: E402

def rows(first):
    """A batch with a dictionary, so that the file has every kind of message."""
    batch = numbers(1000, first)
    words = pa.array([f"word {k % 10}" for k in range(1000)]).dictionary_encode()
    return pa.record_batch([*batch.columns, words], [*batch.schema.names, "word"])


def sections(whole):
    """Name and range of each section of a file: magic, metadata and bodies, footer, its length."""
    footer_bytes, = struct.unpack("<i", whole[-10:-6])
    footer = len(whole) - 10 - footer_bytes
    found = [("first magic", 0, 8)]
    at, number = 8, 0
    while at < footer:
        mark, metadata_bytes = struct.unpack("<Ii", whole[at:at + 8])
        assert mark == 0xffffffff
        if metadata_bytes == 0:
            found.append(("end of stream", at, at + 8))
            at += 8
            continue
        body = at + 8 + metadata_bytes
        message = pa.ipc.read_message(pa.py_buffer(whole[at:]))
        name = f"message {number} ({message.type})"
        found.append((f"length of {name}", at, at + 8))
        found.append((f"metadata of {name}", at + 8, body))
        body_bytes = 0 if message.body is None else message.body.size
        if body_bytes:
            found.append((f"body of {name}", body, body + body_bytes))
        at, number = body + body_bytes, number + 1
    return [*found, ("footer", footer, len(whole) - 10), ("length of the footer", len(whole) - 10,
            len(whole) - 6), ("last magic", len(whole) - 6, len(whole))]


class DamageTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"
        self.path = write(self.folder / "whole.arrow", [rows(0), rows(1000)])
        self.whole = self.path.read_bytes()
        self.stream = write(self.folder / "whole.arrows", [rows(0), rows(1000)],
                            "stream").read_bytes()

    def words(self, path):
        return ["shuffle", path, "--by", "key", "--partitions", 4, "--out", self.out, "--quiet"]

    def refused(self, content, what, name="bad.arrow", given=False):
        (self.folder / name).write_bytes(content)
        with self.subTest(what):
            result = (run(*self.words("-"), given=content) if given
                      else run(*self.words(self.folder / name)))
            self.assertEqual(result.code, INPUT, result.errors)
            self.assertIn("standard input" if given else name, result.errors)
            self.assertRegex(result.errors, r"byte \d+|ARROW1|\d+ bytes|is empty")
            self.assertEqual(os.listdir(self.out) if self.out.exists() else [], [])
        shutil.rmtree(self.out, ignore_errors=True)

    def test_names_of_sections(self):
        names = " ".join(name for name, _, _ in sections(self.whole))
        for word in "schema", "dictionary", "record batch", "body", "footer", "end of stream":
            self.assertIn(word, names)

    def test_file_is_cut_in_each_section(self):
        for name, start, end in sections(self.whole):
            for at in {start, start + 1, (start + end) // 2, end - 1}:
                self.refused(self.whole[:at], f"cut at {at}, {name}")

    def test_stream_is_cut_in_each_section(self):
        """All but the end of the stream itself, without which it is a stream all the same."""
        at, number = 0, 0
        while at + 8 < len(self.stream):
            message = pa.ipc.read_message(pa.py_buffer(self.stream[at:]))
            metadata_bytes, = struct.unpack("<i", self.stream[at + 4:at + 8])
            body = at + 8 + metadata_bytes
            end = body + (0 if message.body is None else message.body.size)
            for cut in {at + 3, at + 9, body - 1, (body + end) // 2, end - 1}:
                if at < cut < end:
                    self.refused(self.stream[:cut], f"cut at {cut}, message {number}", given=True)
            at, number = end, number + 1

    def test_each_section_is_overwritten(self):
        for name, start, end in sections(self.whole):
            if name == "end of stream" or "(schema)" in name:  # not needed: there is a footer
                continue
            if name.startswith("body") and "record batch" in name:
                start += 8000  # of numbers, each of which is as good as another; then offsets
            for filling in b"\xff", b"\x7f":
                changed = bytearray(self.whole)
                most = min(end - start, 5000 if name.startswith("body") else 64)
                changed[start:start + most] = filling * most
                self.refused(bytes(changed), f"{filling[0]:#x} over {name}")


    def test_schema_of_a_stream_is_overwritten(self):
        for start, most in (0, 4), (4, 4), (8, 64):
            for filling in b"\xff", b"\x7f":
                changed = bytearray(self.stream)
                changed[start:start + most] = filling * most
                if bytes(changed) != self.stream:
                    self.refused(bytes(changed), f"{filling[0]:#x} over byte {start}", given=True)


if __name__ == "__main__":
    unittest.main()
