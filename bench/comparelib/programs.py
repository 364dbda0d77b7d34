"""Real programs on generated input, as Debian installs them: compilers, interpreters, tools."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import generate
from .allocators import Missing
from .memcached_server import Memcached
from .process import Failure, Launched
from .workload import RUN_SECONDS_MAX, Sample, run_scaled

SCRIPTS = Path(__file__).resolve().parent.parent / "programs"
PYTHON = "/usr/bin/python3"


def require(workload, executable, package):
    if shutil.which(executable) is None:
        raise Missing(
            f"workload {workload}: {executable} is not installed (Debian package {package})"
        )


@dataclass(frozen=True)
class Job:
    """A command line and what it has to do; what it writes goes to `output`, or to stdout."""

    argv: list
    operations: int
    output: Path | None = None
    settings: tuple = ()


@dataclass(frozen=True)
class Command:
    """A program on one generated input. Its checksum is the hash of what it writes."""

    name: str
    about: str
    executable: str
    package: str
    prepare: Callable[..., Job]

    def check(self, bench):
        del bench
        require(self.name, self.executable, self.package)

    def run(self, bench, settings):
        job = self.prepare(bench)
        if job.output:
            job.output.unlink(missing_ok=True)
        argv = [self.executable, *job.argv]
        with Launched(bench.launcher(), [*settings, *job.settings], argv) as launched:
            usage = launched.wait(RUN_SECONDS_MAX)
            written = job.output.read_bytes() if job.output else launched.output().encode()
        if not written:
            raise Failure(f"{self.name}: wrote nothing")
        return Sample(usage, job.operations, hashlib.sha256(written).hexdigest()[:16])


@dataclass(frozen=True)
class Script:
    """A script of bench/programs/ in its interpreter; it prints what our own programs print."""

    name: str
    about: str
    interpreter: tuple
    package: str
    script: str
    settings: tuple = ()

    def check(self, bench):
        del bench
        require(self.name, self.interpreter[0], self.package)

    def run(self, bench, settings):
        argv = [*self.interpreter, str(SCRIPTS / self.script)]
        return run_scaled(self.name, bench, [*settings, *self.settings], argv)


def python(name, about):
    # -s and -B: nothing of the user's is imported, and nothing is left behind. PYTHONMALLOC: its
    # small blocks come from malloc too. PYTHONHASHSEED: sets have the same order at each run.
    settings = ("PYTHONMALLOC=malloc", "PYTHONHASHSEED=0")
    return Script(name, about, (PYTHON, "-s", "-B"), "python3", f"{name}.py", settings)


def generated(bench, name, chunks):
    """The file of this name in the scratch folder, written when it is first asked for."""
    path = bench.scratch / name
    if not path.exists():
        path.write_text("".join(chunks), encoding="ascii")
    return path


def compile_cpp(bench):
    units = bench.scaled(CPP_UNITS)
    source = generated(bench, f"source-{units}.cc", generate.cpp(units))
    output = bench.scratch / "source.o"
    argv = ["-std=c++17", "-O1", "-c", str(source), "-o", str(output)]
    # What a compiler leaves behind when it is killed goes with the scratch folder.
    return Job(argv, units, output, (f"TMPDIR={bench.scratch}",))


def query_json(bench):
    people = bench.scaled(JSON_PEOPLE)
    source = generated(bench, f"people-{people}.json", generate.json_people(people))
    return Job(["-c", JQ_FILTER, str(source)], people)


def format_xml(bench):
    entries = bench.scaled(XML_ENTRIES)
    source = generated(bench, f"catalog-{entries}.xml", generate.xml_catalog(entries))
    output = bench.scratch / "catalog-formatted.xml"
    return Job(["--format", str(source), "--output", str(output)], entries, output)


def render_postscript(bench):
    pages = bench.scaled(POSTSCRIPT_PAGES)
    source = generated(bench, f"pages-{pages}.ps", generate.postscript(pages))
    output = bench.scratch / "pages.ppm"
    options = "-q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=ppmraw -r72"
    return Job([*options.split(), f"-sOutputFile={output}", str(source)], pages, output)


def solve_smt(bench):
    problems = bench.scaled(SMT_PROBLEMS)
    source = generated(bench, f"problems-{problems}.smt2", generate.smt(problems))
    return Job([str(source)], problems)


CPP_UNITS = 3
JSON_PEOPLE = 40_000
XML_ENTRIES = 90_000
POSTSCRIPT_PAGES = 40
SMT_PROBLEMS = 120
JQ_FILTER = (
    "group_by(.city) | map({city: .[0].city, people: length, total: (map(.amount) | add), "
    "tags: ([.[].tags[]] | unique | length), first: (map(.name | ascii_upcase) | sort | .[0:3])})"
)

PROGRAMS = [
    Command("gcc", "g++ -O1 on one C++ file full of templates", "g++", "g++", compile_cpp),
    Command("clang", "clang++ -O1 on the same file", "clang++", "clang", compile_cpp),
    python("python_json", "python3, each block from malloc: JSON written and read"),
    python("python_dict", "python3, each block from malloc: dictionaries, strings, counting"),
    python("python_objects", "python3, each block from malloc: trees and graphs of objects"),
    Script("perl", "perl: hashes, strings, regular expressions", ("perl",), "perl", "text.pl",
           ("PERL_HASH_SEED=0",)),
    Script("lua", "lua5.4: tables, strings, closures", ("lua5.4",), "lua5.4", "tables.lua"),
    Command("jq", "jq: a large JSON file, grouped and counted", "jq", "jq", query_json),
    Command("xmllint", "xmllint: a large XML file as a tree, and written again", "xmllint",
            "libxml2-utils", format_xml),
    Command("ghostscript", "gs: PostScript pages drawn as bitmaps", "gs", "ghostscript",
            render_postscript),
    Command("z3", "z3: schedules and bit vectors, satisfiable and not", "z3", "z3", solve_smt),
    Memcached("memcached", "memcached on two threads: sets and gets of random sizes"),
]  # fmt: skip
