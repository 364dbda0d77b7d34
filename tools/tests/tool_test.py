#!/usr/bin/python3
"""The program elasticpool: what each subcommand prints and how it exits.

tool_test.py PROGRAM [LIBRARY]       without LIBRARY, what preloads it is skipped
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

SEED = 20240613
HANG_S = 60
PROGRAM = pathlib.Path(sys.argv[1]).resolve()
LIBRARY = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None

REPORT = {
    "elasticpool": "9.8.7",
    "pid": 4711,
    "options": {"STATS": "json", "RETAIN": "8M"},
    "requested": {"blocks": 1000},
    "live": {"blocks": 123, "bytes": 3 << 20},
    "lost_in_fork": {"threads": 3, "blocks": 9, "bytes": 4096},
    "resident_bytes": 5 << 20,
    "peak_resident_bytes": 6 << 20,
    "mapped_bytes": 7 << 20,
    "returned_bytes": 1 << 20,
    "page_faults": {"minor": 77, "major": 2},
    "foreign_frees": 3,
    "tiers": {
        "magazine": {"requests": 800, "served": 600, "cached_blocks": 40, "cached_bytes": 2048,
                     "threads": 2},
        "slab": {"requests": 800, "live_blocks": 100, "live_bytes": 6400, "mapped_bytes": 65536,
                 "free_resident_bytes": 1024, "returned_bytes": 0,
                 "peak": {"mapped_bytes": 8 << 20, "live_bytes": 6 << 20, "cached_bytes": 9}},
        "buddy": {"requests": 150, "live_blocks": 20, "cached_bytes": 131072},
        "large": {"requests": 50, "live_blocks": 3, "peak_live_bytes": 7 << 20,
                  "free_clean_bytes": 2 << 20, "hole_bytes": 0, "lost_bytes": 1 << 20},
    },
    "classes": [{"size": 64, "requests": 800, "served_by_magazine": 600, "refills": 50,
                 "live": 100, "cached": 40, "slabs": 1, "slab_bytes": 65536}],
}  # fmt: skip


def run(*arguments, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MEMPOOL_")}
    environment.update(more.pop("environment", {}))
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, timeout=HANG_S, env=environment, **more
    )


class ToolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, *arguments, **more):
        result = run(*arguments, **more)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        return result.stdout.decode()

    def refuse(self, *arguments, code=2, **more):
        """One line on stderr, nothing on stdout; the line without its newline and first word."""
        result = run(*arguments, **more)
        self.assertEqual((result.returncode, result.stdout), (code, b""), result.stderr)
        self.assertTrue(result.stderr.startswith(b"elasticpool: "), result.stderr)
        self.assertEqual(result.stderr.count(b"\n"), 1, result.stderr)
        return result.stderr.decode().removeprefix("elasticpool: ").removesuffix("\n")

    def report(self, content):
        file = self.folder / "report"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return file


class UsageTest(ToolTest):
    def test_help_and_version(self):
        for arguments in (["--help"], ["run", "--help"], ["stats", "--help"]):
            self.assertIn("Usage: elasticpool", self.succeed(*arguments))
        self.assertRegex(self.succeed("version"), r"\Aelasticpool \d+\.\d+\.\d+\n\Z")

    def test_bad_use_is_one_line(self):
        bad = [[], ["bogus"], ["options", "x"], ["stats"], ["stats", "a", "b"], ["run"],
               ["run", "--"], ["run", "--bogus-option-before", "--"], ["version", "--x"],
               ["run", "--stats", "--json", "f", "--", "true"]]  # fmt: skip
        for arguments in bad:
            with self.subTest(arguments):
                self.refuse(*arguments)

    def test_output_that_cannot_be_written_is_said(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                [PROGRAM, "options"], stdout=full, stderr=subprocess.PIPE, timeout=HANG_S
            )
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr, b"elasticpool: standard output cannot be written\n")


class OptionsTest(ToolTest):
    def test_table(self):
        text = self.succeed("options")
        self.assertIn("MEMPOOL_STATS             off, on, json; default off\n", text)
        self.assertIn("MEMPOOL_MAGAZINE_BYTES    64K to 64M; default 2M\n", text)
        self.assertIn("MEMPOOL_LIMIT             auto, off, cgroup, 1M to 1024T; default", text)
        self.assertIn("MEMPOOL_STATS_FILE        a file name; not set by default\n", text)
        self.assertLess(max(map(len, text.splitlines())), 81)

    def test_environment_is_shown(self):
        result = run("options", environment={"MEMPOOL_RETAIN": "1M", "MEMPOOL_NUMA": "x"})
        self.assertIn(b"MEMPOOL_RETAIN            0 to 1T; default 8M; here 1M\n", result.stdout)
        self.assertEqual(
            result.stderr,
            b"elasticpool: MEMPOOL_NUMA=x: not one of local, interleave, off; using local\n",
        )

    def test_json(self):
        rows = {row["name"]: row for row in json.loads(self.succeed("options", "--json"))}
        self.assertEqual(rows["MEMPOOL_STATS"]["choices"], ["off", "on", "json"])
        self.assertEqual(rows["MEMPOOL_RETAIN"]["max_bytes"], 1 << 40)
        self.assertEqual(rows["MEMPOOL_STATS_FILE"]["kind"], "path")
        for row in rows.values():
            self.assertTrue(row["description"].endswith("."))
            self.assertEqual((row["set"], row["value"]), (False, row["default"]))

    def test_json_of_a_name_that_is_no_utf8(self):
        odd = {"MEMPOOL_STATS_FILE": os.fsdecode(b"a\xff")}
        rows = json.loads(self.succeed("options", "--json", environment=odd))
        self.assertIn({"MEMPOOL_STATS_FILE": "a\ufffd"}, [{r["name"]: r["value"]} for r in rows])


class StatsTest(ToolTest):
    def test_every_figure_is_shown(self):
        text = self.succeed("stats", self.report(REPORT))
        for part in (
            "elasticpool 9.8.7, process 4711\n",
            "requests          1000\n",
            "live              3.0 MiB in 123 blocks\n",
            "resident          5.0 MiB\n",
            "peak resident     6.0 MiB\n",
            "mapped            7.0 MiB\n",
            "returned, at most 1.0 MiB\n",
            "lost in fork      4.0 KiB in 9 blocks cached by 3 other threads of the parent;\n",
            "large: at most 7.0 MiB live at once, 2.0 MiB free without pages, "
            "1.0 MiB of addresses lost to others\n",
            "page faults       77 minor, 2 major\n",
            "foreign frees     3\n",
            "slabs: 75.0% used at their peak of 8.0 MiB\n",
            "magazines served 75.0% of 800 requests and hold 40 blocks, 2.0 KiB, of 2 threads; "
            "and 128.0 KiB of buddy blocks\n",
            "MEMPOOL_RETAIN          = 8M\n",
        ):
            self.assertIn(part, text)
        rows = [line.split() for line in text.splitlines()]
        self.assertIn(["slab", "800", "100", "6.3", "KiB", "64.0", "KiB", "1.0", "KiB", "0", "B"],
                      rows)  # fmt: skip
        self.assertIn(["64", "800", "75.0%", "50", "100", "40", "1", "9.8%"], rows)

    def test_standard_input(self):
        text = self.succeed("stats", "-", input=json.dumps(REPORT).encode())
        self.assertIn("process 4711\n", text)

    def test_what_is_missing_is_zero(self):
        text = self.succeed("stats", self.report({"elasticpool": "0.1.0"}))
        self.assertIn("requests          0\n", text)
        self.assertNotIn("lost", text)
        self.assertNotIn("at their peak", text)

    def test_terminals_are_not_steered(self):
        evil = {"elasticpool": "\x1b[2J", "options": {"\x1bX": "\x07\n"}}
        text = self.succeed("stats", self.report(evil))
        self.assertIn("elasticpool ?[2J, process", text)
        self.assertIn("MEMPOOL_?X              = ??\n", text)

    def test_files_that_cannot_be_read(self):
        file = self.folder / "missing"
        self.assertEqual(self.refuse("stats", file), f"{file}: No such file or directory")
        self.assertEqual(self.refuse("stats", self.folder), f"{self.folder}: Is a directory")
        self.assertEqual(self.refuse("stats", "/dev/null"), "/dev/null: is empty")
        self.assertEqual(self.refuse("stats", "/dev/zero"), "/dev/zero: is too long for a report")

    def test_garbage(self):
        no_report = "is no report of elasticpool"
        cases = [
            (b"hello", "is no JSON at byte 1"),
            (b"\xff\xfe", "is no JSON at byte 1"),
            (b"{}", no_report),
            (b"[]", f"{no_report}: it is not an object"),
            (b"[" * 1_000_000, "ends in the middle of a report"),
            ({**REPORT, "pid": -1}, f"{no_report}: pid is not a number"),
            ({**REPORT, "pid": 1.5}, f"{no_report}: pid is not a number"),
            ({**REPORT, "pid": 1 << 70}, f"{no_report}: pid is not a number"),
            ({**REPORT, "live": [1]}, f"{no_report}: live is not an object"),
            ({**REPORT, "classes": {}}, f"{no_report}: classes is not a list"),
            ({**REPORT, "classes": [7]}, f"{no_report}: a class is not an object"),
            ({**REPORT, "elasticpool": 1}, f"{no_report}: elasticpool is not a text"),
            ({**REPORT, "options": {"A": {}}}, f"{no_report}: A is not a text"),
        ]
        for content, message in cases:
            with self.subTest(message=message):
                file = self.report(content)
                self.assertEqual(self.refuse("stats", file), f"{file}: {message}")

    def test_every_truncation(self):
        whole = json.dumps(REPORT).encode()
        for length in range(0, len(whole), 7):
            with self.subTest(length):
                self.refuse("stats", self.report(whole[:length]))

    def test_damage(self):
        """Whatever one wrong byte makes of it: a table, or one line."""
        source = random.Random(SEED)
        whole = json.dumps(REPORT).encode()
        for _ in range(100):
            damaged = bytearray(whole)
            place = source.randrange(len(damaged))
            damaged[place] = source.randrange(256)
            file = self.report(bytes(damaged))
            result = run("stats", file)
            with self.subTest(seed=SEED, place=place, byte=damaged[place]):
                self.assertIn(result.returncode, (0, 2))
                self.assertEqual(result.stderr.count(b"\n"), 1 if result.returncode else 0)


@unittest.skipIf(LIBRARY is None, "the library is not built here")
class RunTest(ToolTest):
    def run_under(self, *arguments, **more):
        return run("run", "--library", LIBRARY, *arguments, **more)

    def test_command_is_replaced_and_told_nothing(self):
        result = self.run_under("--", "sh", "-c", 'echo "$@"; exit 7', "x", "--stats", "--", "-o")
        self.assertEqual((result.returncode, result.stdout), (7, b"--stats -- -o\n"))
        result = self.run_under("echo", "--stats", "--", "-x")
        self.assertEqual(result.stdout, b"--stats -- -x\n")

    def test_library_is_loaded_before_others(self):
        for others, expected in (("", f"{LIBRARY}"), ("/x.so", f"{LIBRARY}:/x.so")):
            result = self.run_under(
                "--", "sh", "-c", "echo $LD_PRELOAD", environment={"LD_PRELOAD": others}
            )
            self.assertEqual(result.stdout.decode(), expected + "\n")
        maps = self.run_under("--", "cat", "/proc/self/maps").stdout.decode()
        self.assertIn(str(LIBRARY.resolve()), maps)

    def test_library_is_found(self):
        """Beside the program: in the build tree as it is, in another as it was installed."""
        if (PROGRAM.parents[1] / "preload" / "libelasticpool.so.0").exists():
            found = run("run", "--", "sh", "-c", "echo $LD_PRELOAD").stdout.decode().strip()
            self.assertEqual(pathlib.Path(found).resolve(), LIBRARY.resolve())
        self.assertIn("no such library", self.refuse("run", "--library", "/no/such", "true"))

    def test_odd_library_names_are_refused(self):
        for name in ("a b.so", "a:b.so"):
            odd = self.folder / name
            odd.symlink_to(LIBRARY)
            self.assertIn("no space and no colon", self.refuse("run", "--library", odd, "true"))

    def test_statistics(self):
        result = self.run_under("--stats", "--", "true")
        self.assertIn(b"elasticpool ", result.stderr)
        file = self.folder / "r-%p"
        self.run_under("--json", file, "-o", "RETAIN=2M", "--", "sort", "/dev/null")
        (written,) = self.folder.iterdir()
        self.assertRegex(written.name, r"\Ar-\d+\Z")
        text = self.succeed("stats", written)
        self.assertIn("MEMPOOL_RETAIN          = 2M\n", text)
        self.assertRegex(text, r"requests +[1-9]")

    def test_relative_report_stays_where_it_was_asked_for(self):
        self.run_under("--json", "r", "--", "env", "-C", "/", "true", cwd=self.folder)
        self.assertTrue((self.folder / "r").exists())

    def test_options_have_the_last_word(self):
        show = ["--", "sh", "-c", "echo $MEMPOOL_STATS $MEMPOOL_NUMA"]
        result = self.run_under("--stats", "-o", "STATS=0", "-o", "MEMPOOL_NUMA=off", *show)
        self.assertEqual((result.stdout, result.stderr), (b"0 off\n", b""))

    def test_bad_options_end_it(self):
        def refused(*arguments):
            return self.refuse("run", "--library", LIBRARY, *arguments, "--", "echo", "ran")

        self.assertIn("did you mean MEMPOOL_STATS?", refused("-o", "STAST=1"))
        self.assertIn("not a size (0 to 1T)", refused("-o", "RETAIN=x"))
        self.assertIn("an option is NAME=VALUE", refused("-o", "RETAIN"))
        self.assertIn("not one of", refused("--stats", "-o", "STATS=x"))

    def test_commands_that_cannot_be_run(self):
        under = ("run", "--library", LIBRARY, "--")
        self.assertEqual(
            self.refuse(*under, "no-such-command", code=127),
            "no-such-command: No such file or directory",
        )
        self.assertEqual(self.refuse(*under, "/", code=126), "/: Permission denied")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
