#!/usr/bin/env python3
"""Runs a Promela model: every run it lists is without a fault, and every mutant has one.

  check_model.py MODEL.pml [WHICH...]    a run, the number of a mutant, `runs` or `mutants`; or all

A model lists both in its first comment, each with what spin is told:
  run: NAME [-DFLAG...]
  mutant NUMBER [-DFLAG...]: what is wrong with it
A run counts only if spin saw every state; a mutant only if an assertion failed: then the model can.
Exits with 77 where spin or a compiler is missing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
SECONDS_MAX = 900
COMPILE = ["-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=8000"]
# -E: who is killed stops anywhere; that nobody hangs is for the model's judge to say.
EXPLORE = ["-E", "-m200000", "-w22"]
BROKEN = ("max search depth too small", "reached -DMEMLIM", "invalid array index", "out of memory")


def listed(text):
    head = text[: text.index("*/")]
    for name, flags in re.findall(r"^ \* run: (\S+)(.*)$", head, re.MULTILINE):
        yield name, flags.split(), False
    for number, flags in re.findall(r"^ \* mutant (\d+)([^:\n]*):", head, re.MULTILINE):
        yield number, [*flags.split(), f"-DMUTANT={number}"], True


def explore(model, flags, compiler):
    """What pan says of the model with those flags."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (
            ["spin", "-a", *flags, str(model)],
            [compiler, *COMPILE, "-o", "pan", "pan.c"],
            ["./pan", *EXPLORE],
        ):
            try:
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX
                )
            except subprocess.TimeoutExpired:
                return f"{command[0]}: not at its end after {SECONDS_MAX} s"
            if done.returncode != 0 and command[0] != "./pan":
                return f"{command[0]}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def verdict(said, is_mutant):
    """What is wrong with the outcome, and in a few words what it was."""
    states = re.search(r"^\s*(\S+) states, stored", said, re.MULTILINE)
    errors = re.search(r"errors: (\d+)", said)
    if states is None or errors is None:
        return "it did not run", said
    found = re.search(r"assertion violated (.*) \(at depth", said)
    outcome = f"{states[1]} states" + (f", {found[1][:60]}" if found else "")
    if any(text in said for text in BROKEN):
        return "it was not explored to the end", said
    if is_mutant and found is None:
        return "a fault that was not found", outcome
    if not is_mutant and errors[1] != "0":
        return "a fault", said
    return None, outcome


def main(model, *chosen):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if shutil.which("spin") is None or compiler is None:
        print("spin or a C compiler is missing")
        return SKIPPED
    faults = 0
    model = Path(model).resolve()
    for name, flags, is_mutant in listed(model.read_text()):
        kind = "mutants" if is_mutant else "runs"
        if chosen and name not in chosen and kind not in chosen:
            continue
        wrong, outcome = verdict(explore(model, flags, compiler), is_mutant)
        title = f"mutant {name}" if is_mutant else name
        print(f"{title}: {wrong + ': ' if wrong else ''}{outcome}", flush=True)
        faults += wrong is not None
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
