"""Which allocators there are, where they lie, and whether a program really gets them."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The names of the libraries, best first, as Debian's packages install them.
KNOWN = {
    # Not "no preload": Debian's redis-server is linked to jemalloc, so libc's malloc has to be
    # put in front of it as well.
    "glibc": ["libc.so.6"],
    "jemalloc": ["libjemalloc.so.2"],
    "mimalloc": ["libmimalloc.so.3", "libmimalloc.so.2"],
    "tcmalloc": ["libtcmalloc_minimal.so.4", "libtcmalloc.so.4"],
    "tbbmalloc": ["libtbbmalloc_proxy.so.2"],
}
OURS = "elasticpool"
DEFAULT = [*KNOWN, OURS]
PACKAGES = {
    "jemalloc": "libjemalloc2",
    "mimalloc": "libmimalloc2.0",
    "tcmalloc": "libgoogle-perftools4",
    "tbbmalloc": "libtbbmalloc2",
}


class Missing(Exception):
    """Cannot be measured here; the text is one line for a person."""


class Unknown(Exception):
    """Asked for something that does not exist; the text is one line for a person."""


@dataclass(frozen=True)
class Allocator:
    name: str
    path: str
    settings: tuple = ()

    def environment(self):
        return [f"LD_PRELOAD={self.path}", *self.settings]


def parse_list(text):
    """'glibc,mine=/a/b.so' -> [('glibc', None), ('mine', '/a/b.so')]"""
    requests = []
    for item in text.split(","):
        name, equals, path = item.strip().partition("=")
        if not name or (equals and not path):
            raise Unknown(f"allocator {item.strip()!r}: neither a name nor NAME=library.so")
        if not equals and name not in KNOWN and name != OURS:
            known = ", ".join([*KNOWN, OURS])
            raise Unknown(f"allocator {name}: unknown; there are {known}, or NAME=library.so")
        if name in (other for other, _ in requests):
            raise Unknown(f"allocator {name}: named twice")
        requests.append((name, path or None))
    return requests


def parse_settings(items, names):
    """['a:X=1', 'a:Y=2'], of the allocators `names` -> {'a': ('X=1', 'Y=2')}"""
    settings = {}
    for item in items:
        name, _, setting = item.partition(":")
        variable, equals, _ = setting.partition("=")
        if not variable or not equals:
            raise Unknown(f"--set {item}: not NAME:VARIABLE=VALUE")
        if name not in names:
            raise Unknown(f"--set {item}: {name} is not one of {', '.join(names)}")
        settings[name] = (*settings.get(name, ()), setting)
    return settings


def resolve(name, path, own_library, settings=()):
    """Finds the library and makes sure that a preloaded program has it."""
    if path is None and name == OURS:
        path = own_library
    if path is None:
        path = _installed(name)
    else:
        if not Path(path).is_file():
            raise Missing(f"allocator {name}: no such library: {path}")
        path = str(Path(path).resolve())
    _check_preload(name, path)
    return Allocator(name, path, settings)


def _installed(name):
    """The dynamic linker knows where installed libraries lie; ask it."""
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    try:
        listing = subprocess.run(
            ["ldconfig", "-p"], env=environment, capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:
        raise Missing(f"allocator {name}: ldconfig not found; use {name}=library.so") from None
    paths = {}
    for line in listing.splitlines():
        library, arrow, path = line.partition(" => ")
        # The machine's own architecture is listed first.
        if arrow:
            paths.setdefault(library.split()[0], path.strip())
    for library in KNOWN[name]:
        if library in paths:
            return paths[library]
    package = f" (Debian package {PACKAGES[name]})" if name in PACKAGES else ""
    raise Missing(f"allocator {name}: {KNOWN[name][-1]} is not installed{package}")


def _check_preload(name, path):
    """The dynamic linker goes on without a library that it cannot preload: look for it."""
    result = subprocess.run(
        ["cat", "/proc/self/maps"],
        env={**os.environ, "LD_PRELOAD": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if result.returncode != 0:
        raise Missing(f"allocator {name}: `cat` under {path} ends with {result.returncode}")
    if os.path.realpath(path) not in result.stdout:
        reason = result.stderr.strip().splitlines()
        raise Missing(f'allocator {name}: {reason[-1] if reason else path + " is not preloaded"}')
