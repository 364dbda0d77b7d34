#!/usr/bin/env python3
"""Sizes: functions at most 70 lines and 6 parameters, files 600 lines, lines 100 columns."""

import ast
import re

from source import CODE_FOLDERS, Problem, run

FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
FILE_LINES_MAX = 600
COLUMNS_MAX = 100

FOLDERS = CODE_FOLDERS + ("scripts",)
OTHER = (".py", ".sh", "meson.build", "meson_options.txt")  # and every script that says so

DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
PUNCTUATION = re.compile(r"[;{}()]")
NOT_PART = re.compile(r"\b(?:public|private|protected)\s*:(?!:)|\[\[.*?\]\]", re.DOTALL)
SCOPE = re.compile(r"\s*(?:(?:inline\s+)?namespace\b|extern\s*\" +\"\s*$)")
TYPE = re.compile(r"\s*(?:typedef\s+|static\s+|constexpr\s+)*(?:class|struct|union|enum)\b")
LAMBDA = re.compile(r"=\s*\[[^\]]*\]\s*$")
INITIALISERS = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def braces(code):
    """Offset of each opening brace to that of its closing one; None when they do not match."""
    pairs, open_at = {}, []
    for match in re.finditer(r"[{}]", code):
        if match[0] == "{":
            open_at.append(match.start())
        elif open_at:
            pairs[open_at.pop()] = match.start()
        else:
            return None
    return None if open_at else pairs


def first_branches(code):
    """The code with only the first branch of each #if: the others may open the same brace again."""
    shown, lines = [True], []
    for line in code.split("\n"):
        directive = re.match(r"\s*#\s*(if|el|endif)", line)
        if directive and directive[1] == "if":
            shown.append(shown[-1])
        elif directive and directive[1] == "el":
            shown[-1] = False
        elif directive and len(shown) > 1:
            shown.pop()
        lines.append(line if shown[-1] and not directive else "")
    return "\n".join(lines)


def without_template(head):
    """The head of a declaration without `template <...>`."""
    match = re.match(r"\s*template\s*<", head)
    if not match:
        return head
    depth, at = 1, match.end()
    while depth and at < len(head):
        depth += {"<": 1, ">": -1}.get(head[at], 0)
        at += 1
    return blank(head[:at]) + without_template(head[at:])


def kind(head):
    """What a brace behind `head` opens: "scope", "function", or "value" (an initialiser)."""
    text = head.rstrip()
    if SCOPE.match(head) or (TYPE.match(head) and not text.endswith((")", "="))):
        return "scope"
    if text.endswith("=") or re.search(r"\bconcept\b", head):
        return "value"
    return "function" if "(" in head or LAMBDA.search(head) else "value"


def functions(code, pairs):
    """Head, offset of the first character and of the closing brace of each function."""
    start = at = depth = 0
    while match := PUNCTUATION.search(code, at):
        at = match.end()
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
        elif match[0] != "{":
            start = start if depth else at
        elif depth:
            at = pairs[match.start()] + 1
        else:
            cleaned = NOT_PART.sub(lambda m: blank(m[0]), code[start : match.start()])
            head = without_template(cleaned)
            what = kind(head)
            if what == "scope":
                start = at
                continue
            at = pairs[match.start()] + 1
            # Behind the braces of `Name() : one_{0}, two_{1} {` comes the next member or the body.
            if what == "function" and not re.match(r"\s*[,{]", code[at:]):
                yield head, start + len(cleaned) - len(cleaned.lstrip()), at - 1
                start = at


def parameters(head):
    """The most parameters that a parenthesis of the head holds."""
    cut = INITIALISERS.search(head)
    head = head[: cut.start() + 1] if cut else head
    most, stack, commas, used = 0, [], 0, False
    for character in head.replace("->", "  "):
        if character == "(" and not stack:
            commas, used = 0, False
        if character in "([{<" and (stack or character == "("):
            stack.append(character)
        elif character in ")]}>" and stack:
            stack.pop()
            if character == ")" and not stack:
                most = max(most, commas + 1 if used else 0)
        elif stack:
            used = used or not character.isspace()
            commas += character == "," and len(stack) == 1
    return most


def name_of(head):
    match = re.search(r"([\w~:]+|operator\s*\S+)\s*\(", head)
    return match[1] if match else "a lambda"


def is_excused(source, line):
    """As for clang-tidy: the mark stands on the line of the name or, NOLINTNEXTLINE, above it."""
    before, here = source.lines[max(line - 2, 0)], source.lines[line - 1]
    mark = "(readability-function-size)"
    return "NOLINTNEXTLINE" + mark in before or "NOLINT" + mark in here


def check_functions(path, source):
    code = DIRECTIVE.sub(lambda m: blank(m[0]), source.code)
    pairs = braces(code)
    if pairs is None:
        code = DIRECTIVE.sub(lambda m: blank(m[0]), first_branches(source.code))
        pairs = braces(code)
    if pairs is None:
        yield Problem(path, 1, "the braces of this file do not match")
        return
    for head, start, end in functions(code, pairs):
        line = source.line_of(start)
        if is_excused(source, line):
            continue
        lines = source.line_of(end) - line + 1
        yield from judge(path, line, name_of(head), lines, parameters(head))


def check_python(path, text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
            yield from judge(path, node.lineno, node.name, lines, count)


def judge(path, line, name, lines, count):
    if lines > FUNCTION_LINES_MAX:
        yield Problem(path, line, f"{name} has {lines} lines, more than {FUNCTION_LINES_MAX}")
    if count > PARAMETERS_MAX:
        yield Problem(path, line, f"{name} has {count} parameters, more than {PARAMETERS_MAX}")


def check_lines(path, lines):
    if len(lines) - (lines[-1] == "") > FILE_LINES_MAX:
        yield Problem(path, len(lines), f"{len(lines)} lines in a file, more than {FILE_LINES_MAX}")
    for number, line in enumerate(lines, 1):
        # A URL cannot be broken.
        if len(line) > COLUMNS_MAX and "://" not in line:
            yield Problem(path, number, f"{len(line)} columns, more than {COLUMNS_MAX}")


def check(tree):
    for path in tree.files(FOLDERS):
        source = tree.source(path)
        yield from check_lines(path, source.lines)
        yield from check_functions(path, source)
    for path in tree.files(FOLDERS, ""):
        language = tree.script_language(path)
        if path.endswith(OTHER) or language:
            text = (tree.root / path).read_text(errors="replace")
            yield from check_lines(path, text.split("\n"))
            if path.endswith(".py") or language.startswith("python"):
                yield from check_python(path, text)


if __name__ == "__main__":
    run(check)
