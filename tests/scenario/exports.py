#!/usr/bin/env python3
"""What the shared library shows to the linker: exactly the allowed names, and nothing that
would hurt its host.

usage: exports.py LIBRARY ALLOW_LIST
"""

import re
import subprocess
import sys

TLS_BYTES_MAX = 64  # what can be loaded late lives in a small reserve of static TLS
NEEDED_ALLOWED = {"libc.so.6", "ld-linux-x86-64.so.2"}
SONAME = "libelasticpool.so.0"


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def allowed_names(path):
    with open(path, encoding="utf-8") as lines:
        return {line.split("#")[0].strip() for line in lines} - {""}


def names_wrong(library, allow_list):
    defined = output_of("nm", "-D", "--defined-only", library).splitlines()
    exported = {line.split()[-1] for line in defined}
    allowed = allowed_names(allow_list)
    yield from (f"exports {name}, which is not allowed" for name in sorted(exported - allowed))
    yield from (f"does not export {name}" for name in sorted(allowed - exported))
    for line in output_of("nm", "-D", "--undefined-only", library).splitlines():
        kind, name = line.split()[-2:]
        if kind == "U" and "@GLIBC_" not in name:
            yield f"needs {name}, which is not the C library's"
        if name.startswith("__tls_get_addr"):
            yield "calls __tls_get_addr: its TLS is not initial-exec, so malloc could recurse"


def dynamic_wrong(library):
    entries = re.findall(r"\(([A-Z_0-9]+)\)\s+(.*)", output_of("readelf", "-dW", library))
    values = {tag: [value for other, value in entries if other == tag] for tag, _ in entries}
    flags = " ".join(values.get("FLAGS", []) + values.get("FLAGS_1", []))
    for needed in values.get("NEEDED", []):
        name = re.search(r"\[(.*)\]", needed).group(1)
        if name not in NEEDED_ALLOWED:
            yield f"needs {name}"
    if values.get("SONAME", [""])[0].split("[")[-1].rstrip("]") != SONAME:
        yield f"its SONAME is not {SONAME}: {values.get('SONAME')}"
    if "TEXTREL" in values or "TEXTREL" in flags:
        yield "has text relocations"
    if "BIND_NOW" not in values and not re.search(r"\b(BIND_NOW|NOW)\b", flags):
        yield "is bound lazily: the first call of a function could run in a signal handler"
    if "NOOPEN" in flags:
        yield "cannot be loaded with dlopen"


def segments_wrong(library):
    for line in output_of("readelf", "-lW", library).splitlines():
        columns = line.split()
        if columns[:1] == ["TLS"] and int(columns[5], 16) > TLS_BYTES_MAX:
            yield f"has {int(columns[5], 16)} bytes of static TLS, more than {TLS_BYTES_MAX}"
        if columns[:1] == ["GNU_STACK"] and "E" in columns[6]:
            yield "wants an executable stack"


def main():
    library, allow_list = sys.argv[1:]
    wrong = [*names_wrong(library, allow_list), *dynamic_wrong(library), *segments_wrong(library)]
    for line in wrong:
        print(f"{library}: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
