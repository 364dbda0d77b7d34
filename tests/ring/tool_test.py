#!/usr/bin/python3
"""elasticpool ring: what each subcommand prints of rings that are used, stale, broken or missing.

tool_test.py PROGRAM SUBJECT

Runs with a /dev/shm of its own where the system allows that: `rm --stale` must not come near the
rings of others, and is not tested where it does not.
"""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HANG_S = 60
SEED = 20250311
PROGRAM, SUBJECT = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
SHARED = pathlib.Path("/dev/shm")
ALONE = "EP_TEST_OWN_SHM"


def run(*arguments):
    return subprocess.run(
        [PROGRAM, "ring", *arguments], capture_output=True, encoding="utf-8", timeout=HANG_S
    )


class Subject:
    """A process that takes part in a ring; see tool_subject.c."""

    def __init__(self, *commands):
        self.process = subprocess.Popen(
            [SUBJECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
        self.do(*commands)

    def do(self, *commands):
        for command in commands:
            self.begin(command)
            answer = self.process.stdout.readline().strip()
            if answer != "ok":
                raise AssertionError(f"{command}: {answer}")

    def begin(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def end(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(HANG_S)
        self.process.stdin.close()
        self.process.stdout.close()


class RingToolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.name = f"elasticpool-test-{os.getpid()}"
        self.file = SHARED / f"{self.name}.ring"
        self.addCleanup(self.file.unlink, missing_ok=True)

    def subject(self, *commands):
        subject = Subject(*commands)
        self.addCleanup(subject.end)
        return subject

    def ring(self, *commands, name=None):
        return self.subject(f"create {name or self.name}", *commands)

    def succeed(self, *arguments):
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout

    def refuse(self, *arguments):
        """One line on stderr, nothing on stdout: the line behind the first word."""
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("elasticpool: "), result.stderr)
        return result.stderr.removeprefix("elasticpool: ").removesuffix("\n")

    def listed(self):
        rows = json.loads(self.succeed("ls", "--json"))
        return next((row for row in rows if row["name"] == self.name), None)

    def figures(self, *arguments, name=None):
        return json.loads(self.succeed("stat", name or self.name, "--json", *arguments))

    def tail(self, *arguments):
        """Lines of words, without the first line."""
        text = self.succeed("tail", self.name, "--no-follow", *arguments)
        return [line.split(maxsplit=7) for line in text.splitlines()[1:]]


class LsTest(RingToolTest):
    def test_alive_then_stale(self):
        ring = self.ring("group g", "producer", "publish 7 100 0 0", "consumer g c")
        row = self.listed()
        self.assertEqual((row["state"], row["messages"]), ("alive", 7))
        self.assertEqual((row["producers"], row["consumers"], row["groups"]), (1, 1, 1))
        self.assertGreater(row["memory_bytes"], 1 << 20)
        self.assertGreater(row["pool_used_bytes"], 7 * 100)
        line = next(x for x in self.succeed("ls").splitlines() if x.startswith(self.name))
        self.assertEqual(line.split()[-4:], ["7", "1", "1", "alive"])
        ring.end()
        row = self.listed()
        self.assertEqual((row["state"], row["messages"]), ("stale", 7))
        self.assertEqual((row["producers"], row["consumers"]), (0, 0))

    def test_attached_without_a_handle_is_alive(self):
        first = self.ring()
        self.assertEqual(self.listed()["state"], "alive")
        second = self.subject(f"attach {self.name}")
        first.end()
        self.assertEqual(self.listed()["state"], "alive")
        second.end()
        self.assertEqual(self.listed()["state"], "stale")

    def test_what_cannot_be_read_is_listed_with_the_reason(self):
        self.file.write_bytes(b"hello, this is no ring")
        self.assertEqual(self.listed()["error"], "the file is no ring")
        self.assertIn("the file is no ring", self.succeed("ls"))


class StatTest(RingToolTest):
    def test_figures(self):
        ring = self.ring("group g", "producer", "publish 20 1000 0 0", "consumer g worker")
        ring.do("get", "ack", "checkpoint", "get")
        stat = self.figures()
        self.assertEqual((stat["state"], stat["slots"], stat["deaths"]), ("alive", 16384, 0))
        self.assertEqual(stat["tail_sequence"], 21)
        self.assertEqual(stat["pool_bytes"], 64 << 20)
        self.assertGreaterEqual(stat["pool_used_bytes"], 19 * 1000)
        self.assertGreaterEqual(stat["pool_backed_bytes"], stat["pool_used_bytes"])
        (group,) = stat["groups"]
        expected = {"name": "g", "lag": 19, "dropped": 0, "policy": "block", "consumers": 1}
        self.assertEqual(group, expected)
        members = {member["kind"]: member for member in stat["members"]}
        pid = ring.process.pid
        self.assertEqual((members["producer"]["pid"], members["producer"]["messages"]), (pid, 20))
        consumer = members["consumer"]
        self.assertEqual((consumer["pid"], consumer["name"], consumer["group"]),
                         (pid, "worker", "g"))  # fmt: skip
        self.assertEqual((consumer["messages"], consumer["acknowledged"]), (2, 1))
        self.assertEqual((consumer["unacknowledged"], consumer["checkpoint"]), (1, 1))
        text = self.succeed("stat", self.name)
        self.assertIn(f"ring {self.name}, alive\n", text)
        self.assertRegex(text, r"\n  g +block +19 +0 +1\n")
        self.assertRegex(text, rf"\n  g/worker +{pid} +2 +1 +0 +1 +1\n")
        self.assertNotIn("/s", text)

    def test_deaths_and_redeliveries(self):
        self.ring("group g", "producer", "publish 3 64 0 0", "consumer g a", "get").end()
        stat = self.figures()
        self.assertEqual((stat["state"], stat["deaths"]), ("stale", 2))
        self.assertEqual(stat["groups"][0]["lag"], 3)
        self.subject(f"attach {self.name}", "consumer g b", "get", "ack")
        stat = self.figures()
        self.assertEqual((stat["redeliveries"], stat["groups"][0]["lag"]), (1, 2))
        (consumer,) = [m for m in stat["members"] if m["kind"] == "consumer"]
        self.assertEqual((consumer["redelivered"], consumer["checkpoint"]), (1, None))
        self.assertIn("2 deaths, 1 redeliveries, 0 corruptions", self.succeed("stat", self.name))

    def test_rates(self):
        ring = self.ring("group g", "producer", "consumer g c")
        look = subprocess.Popen(
            [PROGRAM, "ring", "stat", self.name, "--json", "--interval", "1"],
            stdout=subprocess.PIPE,
        )
        time.sleep(0.5)
        ring.do("publish 1000 64 0 0", *["get", "ack"] * 100)
        stat = json.loads(look.communicate(timeout=HANG_S)[0])
        # A second on a busy machine may take ten.
        self.assertTrue(100 <= stat["published_per_second"] <= 1000, stat)
        self.assertTrue(10 <= stat["groups"][0]["passed_per_second"] <= 100, stat)
        members = {member["kind"]: member for member in stat["members"]}
        self.assertTrue(100 <= members["producer"]["messages_per_second"] <= 1000, stat)
        self.assertTrue(10 <= members["consumer"]["acknowledged_per_second"] <= 100, stat)
        self.assertIn("per second", self.succeed("stat", self.name, "--interval", "0.01"))

    def test_path(self):
        path = self.folder / "file"
        self.ring("group g", "producer", "publish 2 64 0 0", name=path)
        self.assertEqual(self.figures(name=str(path))["tail_sequence"], 3)

    def test_terminals_are_not_steered(self):
        shown = {"\x1b[2J": "?[2J", "\u00e4\u20ac": "\u00e4\u20ac", "a\u009bJ": "a??J",
                 "a\udcff": "a?", "\udce2\udc82": "??"}  # fmt: skip
        ring = self.ring()
        for group, expected in shown.items():
            ring.do(f"group {group}")
            self.assertRegex(self.succeed("stat", self.name), rf"\n  {re.escape(expected)} +block ")
        groups = [group["name"] for group in self.figures()["groups"]]
        self.assertEqual(groups[:3], list(shown)[:3])


class TailTest(RingToolTest):
    def test_messages_are_shown_and_not_taken(self):
        ring = self.ring("group g", "producer", "publish 3 10 7 9", "publish 1 64 0 0")
        lines = self.tail()
        self.assertEqual([line[0] for line in lines], ["1", "2", "3", "4"])
        data = (b"message 2" + bytes(1)).hex()
        self.assertEqual([*lines[1][2:5], lines[1][7]], ["10", "7", "9", data])
        self.assertEqual(lines[3][7], (b"message 4" + bytes(15)).hex() + "...")
        when = time.strptime(f"{lines[0][5]} {lines[0][6][:8]}", "%Y-%m-%d %H:%M:%S")
        self.assertLess(abs(time.mktime(when) - time.time()), HANG_S + 3600)
        stat = self.figures()
        self.assertEqual((stat["messages"], stat["groups"][0]["lag"]), (4, 4))
        ring.do("consumer g c", "get")
        self.assertEqual(self.tail(), lines)
        ring.do("ack")

    def test_text(self):
        self.ring("group g", "producer", "publish 1 9 0 0")
        self.assertEqual(self.tail()[0][7], '"message 1"')

    def test_where_it_begins_and_ends(self):
        self.ring("group g", "producer", "publish 50 64 0 0")
        self.assertEqual([line[0] for line in self.tail()], [str(n) for n in range(41, 51)])
        self.assertEqual([line[0] for line in self.tail("--from", "48")], ["48", "49", "50"])
        self.assertEqual(len(self.tail("--from", "0")), 50)
        self.assertEqual([line[0] for line in self.tail("--from", "5", "--count", "2")], ["5", "6"])
        self.assertEqual(self.tail("--from", "1000"), [])

    def test_it_follows(self):
        ring = self.ring("group g", "producer", "publish 1 64 0 0")
        tail = subprocess.Popen(
            [PROGRAM, "ring", "tail", self.name, "--count", "3"], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(tail.kill)
        self.assertIn("sequence", tail.stdout.readline())
        self.assertEqual(tail.stdout.readline().split()[0], "1")
        ring.do("publish 1 64 0 0")
        self.assertEqual(tail.stdout.readline().split()[0], "2")
        ring.do("publish 5 64 0 0")
        self.assertEqual([x.split()[0] for x in tail.communicate(timeout=HANG_S)[0].splitlines()],
                         ["3"])  # fmt: skip
        self.assertEqual(tail.returncode, 0)

    def test_more_than_once_round_the_ring(self):
        ring = self.ring("group g", "producer", "consumer g c")
        ring.do("churn 17000")
        head = self.figures()["head_sequence"]
        self.assertGreater(head, 1)
        numbers = [int(line[0]) for line in self.tail("--from", "1")]
        self.assertEqual(numbers, list(range(head, 17001)))


    def test_it_goes_on_behind_what_it_missed(self):
        ring = self.ring("group g", "producer", "consumer g c", "churn 1")
        tail = subprocess.Popen(
            [PROGRAM, "ring", "tail", self.name], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(tail.stdout.close)
        self.addCleanup(tail.wait)
        self.addCleanup(tail.kill)
        tail.stdout.readline()
        self.assertEqual(tail.stdout.readline().split()[0], "1")
        tail.send_signal(signal.SIGSTOP)
        ring.do("churn 200000")
        head = self.figures()["head_sequence"]
        tail.send_signal(signal.SIGCONT)
        self.assertGreater(head, 180000)
        numbers = [1]
        while numbers[-1] < 200001:
            numbers.append(int(tail.stdout.readline().split()[0]))
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertLess(len(numbers), 100000)
        self.assertEqual([n for n in numbers if n >= head], list(range(head, 200002)))


    def test_it_ends_on_a_busy_ring(self):
        ring = self.ring("group g", "producer", "consumer g c")
        ring.begin("churn 2000000000")
        for _ in range(3):
            self.assertLessEqual(len(self.tail("--from", "1")), 16384)


class CheckTest(RingToolTest):
    def test_sound(self):
        self.ring("group g", "producer", "publish 100 1000 0 0", "consumer g c", "get")
        self.assertEqual(self.succeed("check", self.name), "")
        found = json.loads(self.succeed("check", self.name, "--json"))
        self.assertEqual(found, {"name": self.name, "faults": []})

    def test_what_changes_meanwhile_is_no_fault(self):
        ring = self.ring("group g", "producer", "consumer g c")
        ring.begin("churn 2000000000")
        for _ in range(10):
            self.assertEqual(self.succeed("check", self.name), "")

    def damage(self):
        """The header of one message: its line is where the sequence stands, and the magic."""
        data = bytearray(self.file.read_bytes())
        wanted = (77).to_bytes(8, "little")
        at = -1
        while (at := data.find(wanted, at + 1)) >= 0:
            if at % 64 == 0 and b"\xa5\xe9" in data[at : at + 64]:
                with self.file.open("r+b") as file:
                    file.seek(at + 12)
                    file.write(b"\xff\xff\xff\xff")

    def test_each_fault_is_one_line(self):
        self.ring("group g", "producer", "publish 100 1000 0 0").end()
        self.damage()
        for _ in range(2):
            result = run("check", self.name)
            self.assertEqual((result.returncode, result.stderr), (1, ""))
            self.assertIn("sequence 77: its header is damaged\n", result.stdout)
        result = run("check", self.name, "--json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("sequence 77: its header is damaged", json.loads(result.stdout)["faults"])
        tail = self.tail("--from", "76", "--count", "3")
        self.assertEqual([line[0] for line in tail], ["76", "77", "78"])
        self.assertEqual(tail[1][1:], ["is", "damaged"])


class RmTest(RingToolTest):
    def test_stale(self):
        self.ring("group g", "producer", "publish 3 64 0 0").end()
        self.assertEqual(self.succeed("rm", self.name), "")
        self.assertFalse(self.file.exists())

    def test_used_is_refused_unless_forced(self):
        ring = self.ring("group g", "producer", "publish 3 64 0 0")
        text = f"ring {self.name}: processes are attached to it; "
        text += "--force removes its name all the same"
        self.assertEqual(self.refuse("rm", self.name), text)
        self.assertTrue(self.file.exists())
        self.succeed("rm", "--force", self.name)
        self.assertFalse(self.file.exists())
        ring.do("publish 3 64 0 0")

    @unittest.skipUnless(ALONE in os.environ, "rings of others may be there")
    def test_all_that_are_stale(self):
        # Attached, but without a handle: that is used, too.
        self.ring()
        for name in ("one", "two"):
            self.ring("producer", name=name).end()
        foreign = SHARED / "foreign.ring"
        foreign.write_bytes(b"none of ours")
        short = SHARED / "short.ring"
        self.ring(name="short").end()
        os.truncate(short, 4096)
        result = run("rm", "--stale")
        self.assertEqual((result.returncode, result.stdout), (2, "removed one\nremoved two\n"))
        self.assertEqual(
            result.stderr, "elasticpool: ring short: the file is shorter than its ring\n"
        )
        self.assertEqual(sorted(SHARED.iterdir()), sorted([self.file, foreign, short]))
        short.unlink()
        self.assertEqual(self.succeed("rm", "--stale"), "")
        foreign.unlink()

    @unittest.skipUnless(ALONE in os.environ, "rings of others may be there")
    def test_only_rings_are_listed(self):
        others = [SHARED / name for name in ("sem.a", "ring", ".hidden.ring", ".ring")]
        for other in others:
            other.write_bytes(b"")
            self.addCleanup(other.unlink)
        self.assertEqual(self.succeed("ls"), "")
        self.assertEqual(json.loads(self.succeed("ls", "--json")), [])

    def test_of_what_is_asked_for(self):
        self.assertIn("which ring?", self.refuse("rm"))
        self.refuse("rm", self.name, "--stale")
        self.refuse("rm", "--stale", "--force")


class BadTest(RingToolTest):
    COMMANDS = (["stat"], ["tail"], ["check"], ["rm"], ["stat", "--json"], ["check", "--json"])

    def assert_refused(self, name, why):
        for command, *more in self.COMMANDS:
            with self.subTest(command=command, name=name):
                said = self.refuse(command, str(name), *more)
                self.assertTrue(said.startswith(f"ring {name}: {why}"), said)

    def test_missing(self):
        self.assert_refused(self.name, "there is no ring or group of that name")
        self.assert_refused(self.folder / "none", "there is no ring or group of that name")

    def test_foreign(self):
        file = self.folder / "foreign"
        for content in (b"", b"x", b"hello, this is no ring" * 10000):
            file.write_bytes(content)
            self.assert_refused(file, "the file is no ring")
            self.assertEqual(file.read_bytes(), content)
        self.assert_refused(self.folder, "the file is no ring")
        self.assert_refused("/dev/null", "the file is no ring")

    def test_truncated(self):
        self.ring("producer").end()
        whole = self.file.stat().st_size
        for length in (whole - 1, whole // 2, 4096, 40):
            os.truncate(self.file, length)
            self.assert_refused(self.name, "the file is shorter than its ring")
            self.assertTrue(self.file.exists())
        self.succeed("rm", "--force", self.name)

    def test_names_that_cannot_be(self):
        self.assert_refused(".", "an argument cannot be right")
        self.assert_refused("x" * 5000, "an argument cannot be right")

    def test_scribbled_over(self):
        """Whatever stands there: an answer, or one line."""
        source = random.Random(SEED)
        ring = self.ring("group g", "producer", "publish 100 1000 0 0", "consumer g c", "get")
        ring.end()
        whole = self.file.read_bytes()
        places = [at for at in range(0, len(whole), 64) if any(whole[at : at + 64])]
        commands = (["stat"], ["stat", "--json"], ["check"], ["tail", "--no-follow"],
                    ["tail", "--no-follow", "--from", "0"])  # fmt: skip
        for round in range(40):
            with self.file.open("r+b") as file:
                for _ in range(source.choice((1, 10, 1000))):
                    file.seek(source.choice(places) + source.randrange(64))
                    file.write(source.randbytes(source.choice((1, 8))))
            for command, *more in commands:
                result = run(command, self.name, *more)
                with self.subTest(seed=SEED, round=round, command=[command, *more]):
                    self.assertIn(result.returncode, (0, 1, 2))
                    self.assertEqual(result.stderr.count("\n"), int(result.returncode == 2))
            if round % 10 == 9:
                self.file.write_bytes(whole)

    def test_cut_short_while_it_is_followed(self):
        self.ring("group g", "producer", "publish 1 64 0 0")
        tail = subprocess.Popen(
            [PROGRAM, "ring", "tail", self.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.addCleanup(tail.kill)
        tail.stdout.readline()
        tail.stdout.readline()
        os.truncate(self.file, 0)
        _, said = tail.communicate(timeout=HANG_S)
        self.assertEqual(tail.returncode, 2)
        self.assertEqual(
            said, f"elasticpool: ring {self.name}: its memory cannot be read any more\n"
        )

    def test_usage(self):
        for arguments in ([], ["bogus"], ["stat"], ["stat", "a", "b"], ["ls", "x"],
                          ["stat", "a", "--interval", "0"], ["tail", "a", "--count", "0"],
                          ["tail", "a", "--from", "-1"]):  # fmt: skip
            with self.subTest(arguments):
                self.refuse(*arguments)


def begin_again_alone():
    """With an empty /dev/shm that only this process and its children see; else goes on."""
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs none {SHARED}"
    try:
        probe = subprocess.run([*alone, mount], capture_output=True, timeout=HANG_S)
    except OSError:
        return
    if probe.returncode == 0:
        os.environ[ALONE] = "1"
        os.execvp(alone[0], [*alone, f'{mount} && exec "$0" "$@"', sys.executable, *sys.argv])


if __name__ == "__main__":
    if ALONE not in os.environ:
        begin_again_alone()
    unittest.main(argv=sys.argv[:1], verbosity=2)
