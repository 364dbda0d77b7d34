"""The good tree of selftest.py and the ways to spoil it."""

from typing import NamedTuple

UNITS = """\
// Units that memory is counted in.
//
// Pure: constants and arithmetic.
// Threads  any.
#pragma once

#include <cstddef>

namespace elasticpool {

inline constexpr size_t kPageBytes = 4096;

}  // namespace elasticpool
"""

FLAG = """\
// A flag that one thread raises and others see.
//
// Threads  raise(): any. is_raised(): any.
// Cost     one plain access each.
#pragma once

#include <atomic>

namespace elasticpool {

class Flag {
 public:
  // order[flag]: publishes what was written before.
  void raise() { raised_.store(true, std::memory_order_release); }
  bool is_raised() const {
    return raised_.load(std::memory_order_acquire);  // order[flag]: sees it
  }

 private:
  std::atomic<bool> raised_{false};
};

}  // namespace elasticpool
"""

TREE = """\
// A buddy tree.
//
// Pure: over indices alone.
// Cost  O(log n).
#pragma once

#include <cstddef>

#include "base/units.h"
"""

SHELL = """\
// The lock around the tree.
//
// Threads  any.
// Lock     one.
#pragma once

#include "buddy/tree.h"
#include "os/flag.h"
"""

# What a scan of the text could trip over: none of it is wrong.
ODD = """\
// What is hard to read for a program.
#include "os/flag.h"

namespace elasticpool {
namespace {

constexpr const char* kText = R"(a "raw" { string // without comment)";
constexpr int kNumber = 1'000'000;  // an apostrophe, a { brace and "half a string
constexpr char kBrace = '{';

template <typename T, size_t kCount, typename U = void (*)(int, int, int, int, int, int, int)>
struct Pair {
  Pair(T first, T second) : first_{first}, second_{second} {}
  T get() const { return kCount > 1 ? first_ : second_; }

 private:
  T first_;
  T second_;
};

constexpr int kTable[] = {
%s
};

#if defined(__clang__)
int chosen(int a) {
#else
int chosen(int b) {
  const int a = b;
#endif
  return a;
}

}  // namespace

int odd(int index) { return kTable[chosen(index)] + kNumber + kBrace + kText[0]; }

int pair() { return Pair<int, 2>(1, 2).get(); }

void wait_for(const Flag& flag, std::atomic<int>& count) {
  int expected = 0;
  // order[flag]: over two lines of a statement that
  // are all one.
  while (!flag.is_raised() && !count.compare_exchange_strong(expected, 1, std::memory_order_acquire,
                                                             std::memory_order_relaxed)) {
  }
}

}  // namespace elasticpool
""" % "\n".join(f"    {n},  // one row" for n in range(100, 180))

USERS = """\
// What programs include.
// Threads  any.
// Errors   none.
#ifndef ELASTICPOOL_VERSION_H
#define ELASTICPOOL_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif
const char* ep_version(void);
#ifdef __cplusplus
}
#endif

#endif
""".replace("ELASTICPOOL_VERSION_H", "EP_VERSION_H_")

GOOD = {
    "README.md": "# elasticpool\n",
    "meson.build": "project('elasticpool', 'cpp')\n",
    "lib/base/units.h": UNITS,
    "lib/os/flag.h": FLAG,
    "lib/os/odd.cc": ODD,
    "lib/buddy/tree.h": TREE,
    "lib/buddy/shell.h": SHELL,
    "lib/heap/boot.cc": '// Boot.\n#include <pthread.h>\n\n#include "buddy/shell.h"\n',
    "lib/ring/ring.h": TREE.replace("// Pure:", "//").replace("base/units.h", "buddy/tree.h"),
    "lib/ring/names.cc": "// Names.\n#include <vector>\n",
    "lib/include/elasticpool/version.h": USERS,
    "preload/entry.cc": "// The entry points.\n#include <elasticpool/version.h>\n",
    "scripts/run": '#!/usr/bin/env bash\n# [T]ODO in a pattern is none.\nset -eu\necho "$@"\n',
    "tests/check.py": '"""A test."""\n',
}


class Case(NamedTuple):
    checker: str
    name: str
    changes: dict
    expected: str = ""  # a pattern in the output; empty: the tree is good
    arguments: tuple = ()


CHECKERS = (
    "contracts", "format", "headers", "layers", "layout", "order_tags", "paths", "shell", "sizes",
    "tidy",
)  # fmt: skip

LONELY_TAG = {"lib/os/flag.h": FLAG.replace("order[flag]: sees", "order[flog]: sees")}


def header(*includes, body=""):
    """A header of lib/ that is right but for these."""
    lines = "".join(f"#include {include}\n" for include in includes)
    return f"// One.\n//\n// Two.\n// Three.\n#pragma once\n\n{lines}{body}"


def includes(name, path, include, expected):
    return Case("layers", name, {path: header(include)}, f"^{path}:7: {expected}")


def layers():
    yield includes("upward", "lib/base/a.h", '"os/flag.h"', "base may not include os")
    yield includes("sideways", "lib/large/a.h", '"buddy/shell.h"', "large may not include buddy")
    yield includes("not from lib/", "lib/os/a.h", '"flag.h"', '"flag.h" is not written from lib/')
    yield includes("no layer", "lib/os/a.h", '"extra/a.h"', '"extra/a.h" is not written from lib/')
    yield includes("impure for the ring", "lib/ring/a.h", '"buddy/shell.h"', "ring .* not pure")
    yield includes("allocating header", "lib/slab/a.h", "<vector>", "slab may not include <vector>")
    yield includes("locking header", "lib/base/a.h", "<mutex>", "base may not include <mutex>")
    yield includes("system call", "lib/slab/a.h", "<sys/mman.h>", "slab may not .*<sys/mman.h>")
    yield includes("thread", "lib/magazine/a.h", "<pthread.h>", "magazine may not .*<pthread.h>")
    yield includes("odd place", "lib/base/a.h", "EP_HEADER", "cannot tell what is included")
    yield includes("below preload", "preload/a.h", '"slab/a.h"', "preload may not include slab")
    yield includes("users' header", "lib/base/a.h", "<elasticpool/b.h>", "base may not .*include")
    impure = TREE.replace("<cstddef>", "<fcntl.h>")
    yield Case("layers", "pure with system call", {"lib/os/a.h": impure}, "a pure file may not")
    impure = TREE.replace("base/units.h", "buddy/shell.h")
    yield Case("layers", "pure on impure", {"lib/buddy/a.h": impure}, "a pure file may include")
    yield Case("layers", "unknown folder", {"lib/extra/a.h": header()}, "`extra` is no layer")
    yield Case("layers", "upside down", {"lib/LAYERS": "base: os\nos:\n"}, "^lib/LAYERS:1: base")
    yield Case("layers", "no rule", {"lib/LAYERS": "base\n"}, "^lib/LAYERS:1: not `name")
    new = header(body="inline int* f() { return new int; }\n")
    yield Case("layers", "new", {"lib/base/a.h": new}, "lib/base/a.h:7: only placement new")
    yield Case("layers", "new in the ring", {"lib/ring/a.h": new})
    sort = header("<algorithm>", body="inline void f(int* a) { std::stable_sort(a, a + 9); }\n")
    yield Case("layers", "allocating name", {"lib/base/a.h": sort}, "a.h:8: stable_sort allocates")


def order_tags():
    def file(body):
        return {"lib/base/a.cc": f"// A.\n#include <atomic>\nstd::atomic<int> a;\n{body}\n"}

    bare = file("int f() { return a.load(std::memory_order_acquire); }")
    yield Case("order_tags", "no tag", bare, "^lib/base/a.cc:4: a memory order without")
    builtin = file("int b;\nint f() { return __atomic_load_n(&b, __ATOMIC_SEQ_CST); }")
    yield Case("order_tags", "builtin", builtin, "^lib/base/a.cc:5: a memory order without")
    far = file("// order[flag]\nint b;\nint f() { return a.load(std::memory_order::acquire); }")
    yield Case("order_tags", "tag too far", far, "^lib/base/a.cc:6: a memory order without")
    text = file('int f() { return g("order[flag]", a.load(std::memory_order_acquire)); }')
    yield Case("order_tags", "tag in a string", text, "^lib/base/a.cc:4: a memory order without")
    silent = file("int f() { return a.load(); }")
    yield Case("order_tags", "default", silent, "^lib/base/a.cc:4: .* does not say its order")
    old = file("int b;\nint f() { return __sync_fetch_and_add(&b, 1); }")
    yield Case("order_tags", "__sync", old, "^lib/base/a.cc:5: .* does not say its order")
    yield Case("order_tags", "alone", LONELY_TAG, r"^lib/os/flag.h:16: order\[flog\] has no p")
    other = ("--files", "README.md")
    yield Case("order_tags", "bad file not asked about", bare, arguments=other)
    asked = ("--files", "lib/base/a.cc")
    yield Case("order_tags", "bad file asked about", bare, "^lib/base/a.cc:4: ", asked)


def long_function(head, lines):
    """A function of that many lines behind `head`."""
    return head + " {\n" + "  step();\n" * (lines - 2) + "}\n"


def sizes():
    def file(text, path="tests/a.cc"):
        return {path: text}

    seven = "int a, int b, int c, int d, int e, int f, int g"
    heads = {
        "function": "void f()",
        "template": "template <typename T, int kN = (1 > 0)>\nvoid f(T)",
        "test": "TEST(Suite, Name)",
        "lambda": "auto f = []",
        "constructor": "F::F(int a) : one_{a}, two_(a)",
        "operator": "bool operator<(F, F)",
        "returns a struct": "struct F f(int a)",
    }
    for name, head in heads.items():
        extra = head.count("\n")
        yield Case("sizes", f"long {name}", file(long_function(head, 71 - extra)), "has 71 lines")
        yield Case("sizes", f"{name} just fits", file(long_function(head, 70 - extra)))
    method = "namespace a {\nclass EP_CAPABILITY(\"x\") B final : C {\n public:\n%s};\n}\n"
    method %= long_function("  void f() const override EP_REQUIRES(lock_)", 71)
    yield Case("sizes", "long method", file(method), "^tests/a.cc:4: f has 71 lines")
    yield Case("sizes", "parameters", file(f"void f({seven}) {{\n}}\n"), "f has 7 parameters")
    nested = "void f(std::array<int, 3> a, int (*b)(int, int), int c, int d, int e, int g) {\n}\n"
    yield Case("sizes", "commas in parameters", file(nested))
    excuse = "// NOLINTNEXTLINE(readability-function-size): the kernel takes six\n"
    yield Case("sizes", "excused", file(f"{excuse}void f({seven}) {{\n}}\n"))
    yield Case("sizes", "long line", file("// " + "x" * 98 + "\n"), "^tests/a.cc:1: 101 columns")
    yield Case("sizes", "long file", file("//\n" * 601), "lines in a file, more than 600")
    yield Case("sizes", "file just fits", file("//\n" * 600))
    yield Case("sizes", "half a function", file("void f() {\n"), "braces of this file do not match")
    python = "def f():\n" + "    pass\n" * 70
    yield Case("sizes", "long Python function", file(python, "tests/a.py"), "f has 71 lines")
    script = "#!/usr/bin/env python3\n" + python
    yield Case("sizes", "script without suffix", file(script, "bench/compare"), "f has 71 lines")


def compiled():
    """What compilers and their tools complain of."""
    lone = header(body="inline size_t f() { return 0; }\n")
    yield Case("headers", "needs another", {"lib/base/a.h": lone}, "^lib/base/a.h:7: .*size_t")
    twice = header(body="struct A {};\n").replace("#pragma once\n", "")
    yield Case("headers", "no guard", {"lib/base/a.h": twice}, "^lib/base/a.h:.*redefinition")
    missing = header('"base/none.h"')
    yield Case("headers", "missing", {"lib/base/a.h": missing}, "^lib/base/a.h:7: .*none.h")
    not_c = USERS.replace("(void)", "(int&)")
    users = "lib/include/elasticpool/version.h"
    yield Case("headers", "not C", {users: not_c}, f"^{users}:10: ")
    warned = header(body="inline int f(int unused) { return 0; }\n")
    hpp = header(body="inline size_t f() { return 0; }\n")
    users_hpp = "lib/include/elasticpool/version.hpp"
    yield Case("headers", "hpp needs another", {users_hpp: hpp}, f"^{users_hpp}:7: .*size_t")
    yield Case("headers", "warning", {"lib/base/a.h": warned}, "^lib/base/a.h:7: .*unused")

    yield Case("format", "spaces", {"tests/a.cc": "int  a;\n"}, "^tests/a.cc:1: not formatted")
    yield Case("format", "hpp", {"tests/a.hpp": "int  a;\n"}, "^tests/a.hpp:1: not formatted")
    yield Case("format", "right pointer", {"bench/a.c": "int *a;\n"}, "^bench/a.c:1: not formatted")

    source = "lib/os/a.cc"
    only = ("--files", source)
    yield from (
        Case("tidy", name, {source: f"// A.\n{text}\n"}, f"^{source}:2: .*{check}", only)
        for name, text, check in (
            ("type", "struct a_type {};", "identifier-naming"),
            ("function", "int FunctionName() { return 0; }", "identifier-naming"),
            ("member", "class A { int b = 0; };", "identifier-naming"),
            ("constant", "constexpr int a_constant = 1;", "identifier-naming"),
            ("enumerator", "enum class A { value };", "identifier-naming"),
            ("macro", "#define OTHER 1", "identifier-naming"),
            ("reserved", "int __other();", "reserved-identifier"),
            ("bugprone", "int f(int a) { return a * sizeof(sizeof(a)); }", "bugprone"),
            ("broken", "int f() { return none; }", "none"),
        )
    )
    in_header = header(body="struct a_type {};\n")
    changes = {"lib/os/a.h": in_header, source: '// A.\n#include "os/a.h"\n'}
    yield Case("tidy", "in a header", changes, "^lib/os/a.h:7: .*identifier-naming", only)
    excused = "// A.\nint Other();  // NOLINT(readability-identifier-naming): libc's\n"
    yield Case("tidy", "excused", {source: excused}, arguments=only)


def texts():
    two = "// One.\n// Two.\n#pragma once\n"
    yield Case("contracts", "short", {"lib/os/a.h": two}, "^lib/os/a.h:1: opens with 2 lines")
    late = "#pragma once\n// One.\n// Two.\n// Three.\n"
    yield Case("contracts", "late", {"lib/os/a.h": late}, "^lib/os/a.h:1: opens with 0 lines")
    yield Case("contracts", "source", {"tools/a.cc": "int a;\n"}, "^tools/a.cc:1: opens with 0")
    bare = "// A.\nint a;  // NOLINT\n"
    yield Case("contracts", "bare NOLINT", {"tools/a.cc": bare}, "^tools/a.cc:2: write NOLINT")
    unreasoned = "// A.\nint a;  // NOLINT(bugprone-x)\n"
    yield Case("contracts", "no reason", {"tools/a.cc": unreasoned}, "^tools/a.cc:2: write NOLINT")

    yield Case("layout", "file", {"notes.txt": ""}, "^notes.txt:1: `notes.txt` does not belong")
    yield Case("layout", "folder", {"src/a.cc": ""}, "^src/a.cc:1: `src` does not belong")
    yield Case("layout", "dot file", {".ci/run": ""})

    # In pieces, or this file would be refused itself.
    for name, text in {
        "home": "/ho" "me/someone",
        "root": 'open("/ro' 'ot/x")',
        "work": "cd /wo" "rk",
        "registry": "https://py" "pi.org/simple",
        "mirror": "http://deb.deb" "ian.org/debian",
        "unowned": "# TO" "DO: later",
        "fix": "# FIX" "ME later",
    }.items():
        yield Case("paths", name, {"scripts/a": f"\n{text}\n"}, "^scripts/a:2: ")
    fine = "# TO" "DO(ada): later\nls tests/work ${x}/root /rooted https://a.org/home/b\n"
    yield Case("paths", "owned, relative", {"scripts/a": fine})

    bash = "#!/bin/bash\n"
    yield Case("shell", "syntax", {"scripts/a": bash + "if true; then\n"}, "^scripts/a:3: ")
    other = {"scripts/a": "#!/usr/bin/python3\nif True: pass\n"}
    yield Case("shell", "another language", other)


CASES = [
    *(Case(checker, "good tree", {}) for checker in CHECKERS),
    *layers(),
    *order_tags(),
    *sizes(),
    *compiled(),
    *texts(),
]
