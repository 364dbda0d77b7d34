"""Inputs of real programs: the same each time, of the kind they claim; what is missing is named."""

import itertools
import json
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path
from unittest import mock

from comparelib import allocators, generate, memcached_server, process, programs, workloads
from comparelib import redis_server

MAKERS = [
    generate.cpp,
    generate.json_people,
    generate.xml_catalog,
    generate.postscript,
    generate.smt,
]


class GenerateTest(unittest.TestCase):
    def test_the_same_each_time_and_more_for_a_larger_count(self):
        for make in MAKERS:
            text = "".join(make(3))
            self.assertEqual(text, "".join(make(3)), make.__name__)
            self.assertGreater(len("".join(make(6))), len(text) + 100, make.__name__)

    def test_json_and_xml_are_well_formed(self):
        people = json.loads("".join(generate.json_people(50)))
        self.assertEqual([person["id"] for person in people], list(range(50)))
        catalog = xml.etree.ElementTree.fromstring("".join(generate.xml_catalog(50)))
        self.assertEqual(len(catalog.findall("entry")), 50)

    def test_brackets_are_closed(self):
        for make, pairs in ((generate.smt, ["()"]), (generate.cpp, ["()", "{}", "[]"])):
            text = "".join(make(4))
            for opening, closing in pairs:
                self.assertEqual(text.count(opening), text.count(closing), make.__name__)
        self.assertEqual("".join(generate.smt(4)).count("(check-sat)"), 8)


class ServerInputTest(unittest.TestCase):
    def test_redis_fragment_has_as_many_commands_as_it_says(self):
        commands = list(redis_server.fragment_commands(200))
        self.assertEqual(commands, list(redis_server.fragment_commands(200)))
        kinds = [command.split(b"\r\n")[2] for command in commands]
        counts = tuple(len(list(group)) for _, group in itertools.groupby(kinds))
        set_, replaced, deleted = redis_server.fragment_counts(200)
        self.assertEqual(counts, (set_ + replaced, deleted))
        self.assertEqual(len(set(commands)), len(commands))

    def test_the_protocol_of_redis(self):
        self.assertEqual(
            redis_server.encode(b"GET", b"key"), b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
        )

    def test_a_load_is_of_whole_pipelines(self):
        for percent in (1, 2, 37, 100):
            bench = workloads.Bench(Path(), Path(), percent)
            for load in redis_server.MIXED + redis_server.COMMANDS:
                self.assertEqual(load.scaled(bench).requests % load.depth, 0)

    def test_memcached_batches_fit_the_buffers_of_a_socket(self):
        batches = list(memcached_server.batches(1, 1050))
        self.assertEqual(batches, list(memcached_server.batches(1, 1050)))
        self.assertNotEqual(batches, list(memcached_server.batches(2, 1050)))
        self.assertEqual(len(batches), 11)
        self.assertLess(memcached_server.BATCH * memcached_server.VALUE_BYTES_MAX, 150_000)


class CommandTest(unittest.TestCase):
    def test_what_is_missing_is_told_with_its_package(self):
        bench = workloads.Bench(Path(), Path())
        others = [each for each in workloads.CATALOG if not isinstance(each, workloads.Program)]
        self.assertGreater(len(others), 10)
        with mock.patch("shutil.which", return_value=None):
            for workload in others:
                with self.assertRaisesRegex(allocators.Missing, "is not installed .Debian package"):
                    workload.check(bench)

    def test_names_are_there_once(self):
        names = [workload.name for workload in workloads.CATALOG]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([workload.name for workload in workloads.parse_list("all")], names)

    def test_scripts_are_there(self):
        for workload in programs.PROGRAMS:
            if isinstance(workload, programs.Script):
                self.assertTrue((programs.SCRIPTS / workload.script).is_file(), workload.name)

    def test_input_is_written_once(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = workloads.Bench(Path(), Path(folder), 10)
            path = programs.generated(bench, "file", ["a", "b"])
            self.assertEqual(programs.generated(bench, "file", ["other"]).read_text(), "ab")
            self.assertEqual(path.parent, bench.scratch)

    def test_the_checksum_is_of_what_was_written(self):
        usage = process.Usage(1.0, 1.0, 1, 1)
        command = programs.Command("name", "", "tool", "", lambda _: programs.Job(["-x"], 7))
        with mock.patch.object(programs, "Launched") as launched:
            running = launched.return_value.__enter__.return_value
            running.wait.return_value = usage
            running.output.side_effect = ["one", "one", "two", ""]
            bench = workloads.Bench(Path("folder"), Path())
            samples = [command.run(bench, ["A=b"]) for _ in range(3)]
            with self.assertRaisesRegex(process.Failure, "name: wrote nothing"):
                command.run(bench, [])
        self.assertEqual(samples[0], samples[1])
        self.assertNotEqual(samples[0].checksum, samples[2].checksum)
        started = launched.call_args_list[0].args
        self.assertEqual(started, ("folder/launch", ["A=b"], ["tool", "-x"]))


if __name__ == "__main__":
    unittest.main()
