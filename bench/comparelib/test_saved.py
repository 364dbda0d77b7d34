"""Files of earlier invocations: good and bad ones, merged, and one against the other."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from comparelib import diff, plot, saved
from comparelib.results import MEMORY, TIME, Results, Run


def run(workload, allocator, number, seconds, kib=1000, **more):
    return Run(workload, allocator, number, seconds, 1.0, kib, 5, 60, **more)


def results_of(runs, baseline="base"):
    workloads = list(dict.fromkeys(run.workload for run in runs))
    allocators = list(dict.fromkeys(run.allocator for run in runs))
    return Results(runs, workloads, allocators, baseline)


def file_of(runs, name="a.json", baseline="base", **header):
    """As it is after a way through JSON."""
    document = {**header, **results_of(runs, baseline).as_json()}
    return saved.from_document(name, json.loads(json.dumps(document)))


PAIR = [run("lifo", "base", 0, 2, 100), run("lifo", "mine", 0, 1, 100)]


class LoadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="saved-")
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "a.json"

    def problem(self, text):
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with self.assertRaises(saved.Unusable) as caught:
            saved.load(self.file)
        self.assertTrue(str(caught.exception).startswith(f"{self.file}: "))
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception).removeprefix(f"{self.file}: ")

    def test_what_was_written_is_read(self):
        self.file.write_text(json.dumps({"quick": True, **results_of(PAIR).as_json()}))
        file = saved.load(self.file)
        self.assertEqual(file.runs, PAIR)
        self.assertEqual(file.results("base").ratio("lifo", "mine", TIME), 0.5)

    def test_bad_files(self):
        with self.assertRaisesRegex(saved.Unusable, "absent.json: No such file"):
            saved.load(self.file.parent / "absent.json")
        for text in ("", "{", "no", b"\xff\xfe", "[" * 100000):
            self.assertEqual(self.problem(text), "not JSON", text[:9])
        good = results_of(PAIR).as_json()
        for other in ([], 7, {}, {"runs": []}, {**good, "runs": 7}, {**good, "machine": 7}):
            self.assertEqual(self.problem(json.dumps(other)), "JSON, but not of bench/compare")
        self.assertEqual(self.problem(json.dumps({**good, "runs": []})), "holds no run")

    def test_bad_runs(self):
        good = results_of(PAIR).as_json()
        for bad in (7, {}, {"workload": "lifo"}, {**good["runs"][1], "seconds": "1"}, None, []):
            text = json.dumps({**good, "runs": [good["runs"][0], bad]})
            self.assertEqual(self.problem(text), "run 2 is not one of bench/compare", bad)
        text = json.dumps({**good, "runs": [{**good["runs"][0], "workload": 5}]})
        self.assertEqual(self.problem(text), "run 1 is not one of bench/compare")

    def test_fields_of_another_version(self):
        document = results_of(PAIR).as_json()
        for entry in document["runs"]:
            entry["novel"] = 1
            del entry["attempts"]
        self.file.write_text(json.dumps(document))
        self.assertEqual(saved.load(self.file).runs, PAIR)


class TogetherTest(unittest.TestCase):
    def test_the_baseline_of_all(self):
        files = [file_of(PAIR), file_of(PAIR, "b.json")]
        self.assertEqual(saved.common_baseline(files, None), "base")
        self.assertEqual(saved.common_baseline(files, "mine"), "mine")
        with self.assertRaisesRegex(saved.Unusable, "a.json: no absent in it"):
            saved.common_baseline(files, "absent")
        files[1] = file_of(PAIR, "b.json", "mine")
        with self.assertRaisesRegex(saved.Unusable, "b.json: its baseline is mine, but base in a"):
            saved.common_baseline(files, None)
        self.assertEqual(saved.common_baseline(files, "base"), "base")

    def test_quick_runs_are_other_work(self):
        files = [file_of(PAIR, quick=False), file_of(PAIR, "b.json", quick=True)]
        with self.assertRaisesRegex(saved.Unusable, "b.json: .*--quick"):
            saved.check_same_work(files)
        saved.check_same_work([files[1], files[1]])
        files = [file_of(PAIR), file_of(PAIR, "b.json", scale_percent=25)]
        with self.assertRaisesRegex(saved.Unusable, "b.json: .*--scale"):
            saved.check_same_work(files)
        saved.check_same_work([files[0], file_of(PAIR, scale_percent=100)])

    def test_other_machines_are_said(self):
        files = [
            file_of(PAIR, name, machine={"cpu": name[0]})
            for name in ("a.json", "a2.json", "b.json")
        ]
        self.assertEqual(saved.other_machines(files), ["b.json"])

    def test_all_runs_count_and_rounds_go_on(self):
        first = [run("lifo", "base", n, 1) for n in (0, 1)] + [run("lifo", "mine", 0, 2)]
        second = [run("tree", "base", 0, 1), run("lifo", "mine", 0, 4), run("lifo", "new", 0, 4)]
        files = [file_of(first), file_of(second, "b.json")]
        runs, workloads, allocators = saved.merge(files)
        self.assertEqual((workloads, allocators), (["lifo", "tree"], ["base", "mine", "new"]))
        self.assertEqual(runs[:3], first)
        self.assertEqual([run.round for run in runs[3:]], [0, 2, 2])
        merged = Results(runs, workloads, allocators, "base")
        self.assertEqual(merged.ratio("lifo", "mine", TIME), 3)

    def test_what_is_said_of_several(self):
        files = [
            file_of(PAIR, date="2026-01-01T10", rounds=1, machine={"cpu": "x"}),
            file_of(PAIR, "b.json", date="2026-01-02T10", rounds=1),
        ]
        header = saved.merged_header(files)
        self.assertEqual((header["rounds"], header["date"]), (2, "2026-01-01T10"))
        self.assertEqual([part["file"] for part in header["merged"]], ["a.json", "b.json"])
        self.assertIn("up to 2 interleaved runs of 2 invocations", plot.caption(header))
        again = saved.merged_header([file_of(PAIR, "m.json", **header), files[0]])
        self.assertEqual([part["file"] for part in again["merged"]], ["a.json", "b.json", "a.json"])


class DiffTest(unittest.TestCase):
    def test_ratios_are_compared_not_figures(self):
        old = results_of([*PAIR, run("tree", "base", 0, 1), run("tree", "mine", 0, 1, 2000)])
        # The machine is three times slower, lifo a tenth slower besides.
        new = [replace(run, seconds=run.seconds * 3) for run in old.runs]
        new[1] = replace(new[1], seconds=new[1].seconds * 1.1)
        new[3] = replace(new[3], peak_rss_kib=1800)
        lines = diff.format_all(old, results_of(new))
        self.assertEqual(lines[0], "Time: new / old of the ratio to base, lower is better")
        self.assertEqual(lines[1].split(), ["mine"])
        self.assertEqual(lines[3].split(), ["lifo", "1.100!"])
        self.assertEqual(lines[4].split(), ["tree", "1.000"])
        self.assertEqual(lines[6].split(), ["geometric", "mean", "1.049"])
        self.assertIn(["tree", "0.900+"], [line.split() for line in lines])
        self.assertIn("by more than 3% of time or 2% of memory", lines[-1])

    def test_marks(self):
        for kind, limit in ((TIME, 1.03), (MEMORY, 1.02)):
            self.assertEqual(diff.mark(limit, kind), " ")
            self.assertEqual(diff.mark(limit + 0.001, kind), "!")
            self.assertEqual(diff.mark(1 / limit, kind), " ")
            # As far down as up is a factor: 1 / 1.03 is more than 0.97.
            self.assertEqual(diff.mark(1 / limit - 0.0002, kind), "+")

    def test_only_what_both_have(self):
        old = results_of([*PAIR, run("huge", "base", 0, 1), run("lifo", "gone", 0, 1)])
        new = results_of([*PAIR, run("tree", "base", 0, 1), run("lifo", "novel", 0, 1)])
        self.assertEqual(diff.shared(old, new), (["lifo"], ["mine"]))
        self.assertEqual(diff.format_all(old, results_of([run("tree", "base", 0, 1)])), [])
        self.assertEqual(diff.format_all(old, results_of(PAIR[:1])), [])

    def test_a_failed_run_has_no_change(self):
        pair = [run("tree", "base", 0, 1), run("tree", "mine", 0, 1)]
        failed = [pair[0], Run("tree", "mine", 0, error="killed")]
        lines = diff.format_all(results_of([*PAIR, *pair]), results_of([*PAIR, *failed]))
        self.assertEqual(lines[4].split(), ["tree", "-"])
        self.assertEqual(lines[6].split(), ["geometric", "mean", "(1", "of", "2)", "1.000"])

    def test_a_program_that_does_other_work_is_left_out(self):
        old = results_of([replace(run, checksum="aa") for run in PAIR])
        new = results_of([replace(run, checksum="ab") for run in PAIR])
        lines = diff.format_all(old, new)
        self.assertEqual(lines, ["left out, as they do other work now: lifo"])
        self.assertFalse(diff.other_work(old, old, "lifo"))


if __name__ == "__main__":
    unittest.main()
