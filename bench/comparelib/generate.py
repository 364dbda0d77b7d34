"""Input for programs.py, as chunks of text. Pure: the same count gives the same text each time."""

import random

SEED = 42
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word(generator, least=3, most=12):
    return "".join(generator.choices(LETTERS, k=generator.randint(least, most)))


CPP_HEAD = """\
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N>
struct Tower {
  static int height(int x) { return Tower<N - 1>::height(x * 3 + N); }
};
template <>
struct Tower<0> {
  static int height(int x) { return x; }
};

bool matches(const std::string& text) {
  static const std::regex pattern("([a-z]+)-([0-9]{2,4})(x|y)*");
  return std::regex_match(text, pattern);
}
"""
CPP_UNIT = """
struct Record{n} {{
{fields}
  bool operator<(const Record{n}& other) const {{ return {first} < other.{first}; }}
}};
int work{n}(const std::vector<std::string>& words) {{
  std::map<std::string, std::shared_ptr<Record{n}>> by_name;
  std::unordered_map<int, std::vector<Record{n}>> by_number;
  for (const auto& text : words) {{
    if (!matches(text)) continue;
    auto record = std::make_shared<Record{n}>();
    record->{first} = text.size() + {constant};
    by_number[static_cast<int>(record->{first})].push_back(*record);
    by_name.emplace(text, std::move(record));
  }}
  std::vector<Record{n}> all;
  for (auto& [number, some] : by_number) std::move(some.begin(), some.end(), back_inserter(all));
  std::stable_sort(all.begin(), all.end());
  std::set<Record{n}> distinct(all.begin(), all.end());
  std::function<int(int)> f = [&](int x) {{ return Tower<{tower}>::height(x); }};
  std::variant<int, std::string, Record{n}> any = all.empty() ? Record{n}{{}} : all.front();
  return f(static_cast<int>(distinct.size() + by_name.size() + any.index()));
}}
"""


def cpp(units):
    """A file of `units` functions, each with types of its own and the templates they call for."""
    generator = random.Random(SEED)
    kinds = ["int", "long", "double", "std::string", "std::vector<int>", "std::map<int, long>"]
    yield CPP_HEAD
    for n in range(units):
        first = f"{word(generator)}_key"
        fields = [f"  long {first} = 0;"]
        for number in range(generator.randint(2, 8)):
            fields.append(f"  {generator.choice(kinds)} {word(generator)}_{number}{{}};")
        yield CPP_UNIT.format(
            n=n,
            fields="\n".join(fields),
            first=first,
            constant=generator.randint(1, 999),
            tower=generator.randint(20, 60) + n,
        )


def json_people(people):
    generator = random.Random(SEED)
    cities = [word(generator).capitalize() for _ in range(200)]
    tags = [word(generator) for _ in range(500)]
    yield "["
    for number in range(people):
        some_tags = ", ".join(f'"{tag}"' for tag in generator.sample(tags, generator.randint(0, 8)))
        yield (
            f'{"," if number else ""}\n{{"id": {number}, "name": "{word(generator)} '
            f'{word(generator)}", "city": "{generator.choice(cities)}", '
            f'"amount": {generator.randint(0, 10**6)}, "tags": [{some_tags}], '
            f'"note": "{" ".join(word(generator) for _ in range(generator.randint(0, 20)))}"}}'
        )
    yield "\n]\n"


def xml_catalog(entries):
    generator = random.Random(SEED)
    yield '<?xml version="1.0"?>\n<catalog xmlns:x="urn:example">\n'
    for number in range(entries):
        yield f'<entry id="e{number}" kind="{word(generator)}"><title>{word(generator)}</title>'
        for _ in range(generator.randint(1, 6)):
            yield (
                f'<x:part name="{word(generator)}" count="{generator.randint(1, 99)}">'
                f"{word(generator)} &amp; <b>{word(generator, 3, 60)}</b></x:part>"
            )
        yield "</entry>\n"
    yield "</catalog>\n"


def postscript(pages):
    """Text of several sizes, filled and stroked curves, clipping, dictionaries and strings."""
    generator = random.Random(SEED)

    def at():
        return f"{generator.randint(20, 570)} {generator.randint(20, 760)}"

    yield "%!PS\n/kept 100 dict def\n"
    for page in range(pages):
        for _ in range(120):
            color = " ".join(f"{generator.random():.2f}" for _ in range(3))
            yield f"gsave {color} setrgbcolor newpath {at()} moveto "
            yield " ".join(f"{at()} {at()} {at()} curveto" for _ in range(4))
            yield " closepath fill grestore\n" if generator.random() < 0.6 else " stroke grestore\n"
        for _ in range(60):
            font = generator.choice(["Times-Roman", "Helvetica-Bold", "Courier"])
            yield f"/{font} findfont {generator.randint(6, 40)} scalefont setfont {at()} moveto "
            yield f"({word(generator)} {word(generator)}) show\n"
        yield f"0 1 2000 {{ dup {page} add 20 string cvs kept 3 1 roll exch 100 mod exch put }} for"
        yield "\nshowpage\n"


def smt(problems):
    """Each a small shop of jobs on machines with little time to spare, then equations of bit
    vectors; some can be satisfied and some cannot."""
    generator = random.Random(SEED)
    yield "(set-option :smt.random_seed 1)\n(set-option :sat.random_seed 1)\n"
    for problem in range(problems):
        yield "(push)\n"
        yield from _shop(generator, jobs=6, machines=4, slack=problem % 3)
        yield "(check-sat)\n(pop)\n(push)\n"
        yield from _vectors(generator, bits=24 + problem % 8)
        yield "(check-sat)\n(pop)\n"


def _shop(generator, jobs, machines, slack):
    hours = [[generator.randint(1, 9) for _ in range(machines)] for _ in range(jobs)]
    orders = [generator.sample(range(machines), machines) for _ in range(jobs)]
    loads = [sum(hours[job][machine] for job in range(jobs)) for machine in range(machines)]
    limit = max(*loads, *map(sum, hours)) + slack
    for job in range(jobs):
        for machine in range(machines):
            start = f"s{job}_{machine}"
            yield f"(declare-const {start} Int)\n(assert (>= {start} 0))\n"
            yield f"(assert (<= (+ {start} {hours[job][machine]}) {limit}))\n"
        for before, after in zip(orders[job], orders[job][1:]):
            yield f"(assert (>= s{job}_{after} (+ s{job}_{before} {hours[job][before]})))\n"
    for machine in range(machines):
        for a in range(jobs):
            for b in range(a):
                yield (
                    f"(assert (or (>= s{a}_{machine} (+ s{b}_{machine} {hours[b][machine]}))"
                    f" (>= s{b}_{machine} (+ s{a}_{machine} {hours[a][machine]}))))\n"
                )


def _vectors(generator, bits):
    """The factors of a product, tied by a third unknown."""
    a, b = (generator.getrandbits(bits // 2 - 2) | 1 for _ in range(2))
    for name in "xyz":
        yield f"(declare-const {name} (_ BitVec {bits}))\n"
    yield f"(assert (= (bvmul x y) (_ bv{a * b} {bits})))\n(assert (bvugt x (_ bv1 {bits})))\n"
    yield f"(assert (bvult x (_ bv{2 ** (bits // 2)} {bits})))\n"
    yield "(assert (= (bvxor (bvand x z) (bvor y z)) (bvadd x (bvnot z))))\n"
