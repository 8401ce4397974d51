"""fletch bench: all cases run, and report what they measured. No figure is judged."""

import os
import sys
import unittest

sys.dont_write_bytecode = True

from program import USAGE, ProgramTest  # noqa: E402

MEASURES = {
    "spsc_ring": ("M elements/s", 2), "mpsc_queue": ("M elements/s", 3),
    "fan_in": ("M elements/s", 3), "broadcast_ring": ("M elements/s", 3),
    "store_view": ("ns", 1), "store_insert": ("ns", 1),
    "hash_scatter": ("GB/s", 1), "hash_scatter_memcpy": ("GB/s", 1),
    "shuffle": ("GB/s", 4), "shuffle_memcpy": ("GB/s", 1)}


def on_one_processor():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class BenchTest(ProgramTest):
    def check(self, report, processors):
        self.assertEqual(report["processors"], processors)
        self.assertEqual([m["name"] for m in report["measures"]], list(MEASURES))
        for measure in report["measures"]:
            unit, threads = MEASURES[measure["name"]]
            self.assertEqual((measure["unit"], measure["threads"]), (unit, threads))
            self.assertGreater(measure["lowest"], 0, measure)
            self.assertLessEqual(measure["lowest"], measure["median"])
            self.assertLessEqual(measure["median"], measure["highest"])
            self.assertEqual(measure["is_floor"], measure["name"].endswith("_memcpy"))
            is_pinned = 1 < threads <= processors
            self.assertEqual(len(set(measure["pinned_to"])), threads if is_pinned else 0)
            self.assertLessEqual(set(measure["pinned_to"]), os.sched_getaffinity(0))

    def test_all_cases_are_measured(self):
        report = self.succeeds("bench", "--seconds", 1, "--json").json
        self.assertEqual((report["seconds"], report["rounds"]), (1, 7))
        self.check(report, len(os.sched_getaffinity(0)))

    def test_one_processor_is_enough(self):
        report = self.succeeds("bench", "--seconds", 1, "--json", preexec_fn=on_one_processor).json
        self.check(report, 1)

    def test_text_says_what_was_measured_and_fits_a_screen(self):
        text = self.succeeds("bench", "--seconds=1", preexec_fn=on_one_processor).output
        self.assertIn("1 processor: threads take turns", text)
        for name in ("SPSC ring", "MPSC queue", "fan-in", "broadcast ring", "partition store",
                     "hash and scatter", "shuffle, 2 producers", "memcpy of the same bytes"):
            self.assertIn(name, text)
        self.assertEqual(text.count(" to "), len(MEASURES) + 2, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80, text)

    def test_wrong_words(self):
        self.fails(USAGE, "bench", "x", saying="'x'")
        self.fails(USAGE, "bench", "--seconds", "few", saying=("'few'", "whole number"))
        for seconds in (0, 3601):
            self.fails(USAGE, "bench", "--seconds", seconds, saying=(str(seconds), "1 to 3600"))


if __name__ == "__main__":
    unittest.main()
