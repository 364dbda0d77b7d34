"""Comparisons from the JSON files of earlier invocations: read, checked, and put together."""

import json
from dataclasses import dataclass, fields, replace

from .results import Results, Run

TEXTS = ("workload", "allocator", "checksum", "error")
NUMBERS = ("round", "seconds", "cpu_seconds", "peak_rss_kib", "minor_faults", "operations")
NUMBERS += ("disturbed",)


class Unusable(Exception):
    """The text is one line for a person, with the file's name."""


@dataclass(frozen=True)
class Saved:
    """One file. The runs are all that counts; what else it holds is reckoned from them."""

    file: str
    document: dict
    runs: list

    def workloads(self):
        return list(self.document["results"])

    def allocators(self):
        return list(self.document["geometric_means"])

    def results(self, baseline, ours=()):
        return Results(self.runs, self.workloads(), self.allocators(), baseline, ours)


def load(file):
    try:
        with open(file, encoding="utf-8") as text:
            document = json.load(text)
    except OSError as problem:
        raise Unusable(f"{file}: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise Unusable(f"{file}: not JSON") from None
    return from_document(str(file), document)


def from_document(file, document):
    wanted = {"baseline": str, "results": dict, "geometric_means": dict, "runs": list}
    if_there = {"machine": dict, "merged": list}
    if not isinstance(document, dict) or not (
        all(isinstance(document.get(name), kind) for name, kind in wanted.items())
        and all(isinstance(document.get(name, kind()), kind) for name, kind in if_there.items())
    ):
        raise Unusable(f"{file}: JSON, but not of bench/compare")
    runs = [_run(file, number, entry) for number, entry in enumerate(document["runs"])]
    if not runs:
        raise Unusable(f"{file}: holds no run")
    return Saved(file, document, runs)


def _run(file, number, entry):
    """Fields that this version does not know are left out; those it knows have to be right."""
    try:
        known = {field.name: entry[field.name] for field in fields(Run) if field.name in entry}
        run = Run(**known)
        whole = all(isinstance(getattr(run, name), (int, float)) for name in NUMBERS)
        whole = whole and all(isinstance(getattr(run, name), str) for name in TEXTS)
    except (TypeError, KeyError):
        whole = False
    if not whole:
        raise Unusable(f"{file}: run {number + 1} is not one of bench/compare")
    return run


def common_baseline(files, wanted):
    """What the ratios of all are to: the one that is asked for, or the one of all files."""
    for file in files:
        if wanted and wanted not in file.allocators():
            raise Unusable(f"{file.file}: no {wanted} in it, which is to be the baseline")
    first = files[0]
    for file in files[1:]:
        if not wanted and file.document["baseline"] != first.document["baseline"]:
            raise Unusable(
                f'{file.file}: its baseline is {file.document["baseline"]}, but '
                f'{first.document["baseline"]} in {first.file} (--baseline sets one for both)'
            )
    return wanted or first.document["baseline"]


def check_same_work(files):
    first = files[0]
    for file in files[1:]:
        if bool(file.document.get("quick")) != bool(first.document.get("quick")):
            raise Unusable(f"{file.file}: one of it and {first.file} is of --quick: other work")
        if file.document.get("scale_percent", 100) != first.document.get("scale_percent", 100):
            raise Unusable(f"{file.file}: it has another --scale than {first.file}: other work")


def other_machines(files):
    """The files that are of another machine than the first one."""
    machine = files[0].document.get("machine")
    return [file.file for file in files[1:] if file.document.get("machine") != machine]


def merge(files):
    """-> (runs, workloads, allocators), each in the order of the first file that has it.

    The rounds of a workload go on where the last file left them, for all allocators alike: what
    was measured in the same minutes keeps one number.
    """
    runs, rounds = [], {}
    for file in files:
        first = dict(rounds)
        for run in file.runs:
            number = first.get(run.workload, 0) + run.round
            rounds[run.workload] = max(rounds.get(run.workload, 0), number + 1)
            runs.append(replace(run, round=number))
    workloads = dict.fromkeys(name for file in files for name in file.workloads())
    allocators = dict.fromkeys(name for file in files for name in file.allocators())
    return runs, list(workloads), list(allocators)


def merged_header(files):
    """What is said of a whole invocation, for several; in full of each under "merged"."""
    about = ("date", "machine", "rounds", "quick", "scale_percent", "disturbance_percent")
    about += ("options",)
    headers = [{name: file.document.get(name) for name in about} for file in files]
    # A merged file may be merged again.
    parts = []
    for file, header in zip(files, headers):
        parts += file.document.get("merged") or [{"file": file.file, **header}]
    runs, _, _ = merge(files)
    rounds = max(run.round for run in runs) + 1
    return {**headers[0], "rounds": rounds, "merged": parts}
