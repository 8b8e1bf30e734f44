#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what every source file of the project promises, in the files given as arguments.

  the first line names the licence (the second, after a #! line); the next line says what lives in
  the file
  headers have #pragma once and never 'using namespace'
  a file has at most 700 lines: past about 600, look for the second idea
  no tabs, no white space at the end of a line, a newline at the end of the file
  Python files compile

  tools/check_sources.py $(git ls-files)
"""
import pathlib
import sys

LICENCE = "SPDX-License-Identifier: Apache-2.0"
LINES_MAX = 700
# How a comment starts, by suffix or name. Files not mentioned here (data, Markdown, JSON) are not
# looked at.
COMMENTS = {
    ".cc": "//",
    ".h": "//",
    ".def": "//",
    ".c": "//",
    ".py": "#",
    ".sh": "#",
    ".cmake": "#",
    ".toml": "#",
    ".yml": "#",
    ".yaml": "#",
    ".service": "#",
    ".socket": "#",
    "CMakeLists.txt": "#",
    "dev": "#",
    "run": "#",
    ".clang-format": "#",
    ".clang-tidy": "#",
    ".gitignore": "#",
}


def check_text(name, text):
    """The findings of one file as (line, sentence)."""
    path = pathlib.PurePath(name)
    comment = COMMENTS.get(path.name) or COMMENTS.get(path.suffix)
    if comment is None:
        return []
    findings = []
    lines = text.split("\n")
    first = 1 if lines[0].startswith("#!") else 0
    if lines[first : first + 1] != [f"{comment} {LICENCE}"]:
        findings.append((first + 1, f"write '{comment} {LICENCE}' here"))
    else:
        following = lines[first + 1] if len(lines) > first + 1 else ""
        if not following.startswith((comment, '"""')):
            findings.append((first + 2, "say here in a comment what lives in this file"))
    if not text.endswith("\n"):
        findings.append((len(lines), "end the file with a newline"))
    for number, line in enumerate(lines, start=1):
        if line != line.rstrip():
            findings.append((number, "remove the white space at the end of the line"))
        if "\t" in line:
            findings.append((number, "use spaces, not tabs"))
    if len(lines) - 1 > LINES_MAX:
        findings.append(
            (
                LINES_MAX,
                f"{len(lines) - 1} lines are more than {LINES_MAX}: find the "
                "second idea, and give it a file of its own",
            )
        )
    if path.suffix == ".h":
        if "#pragma once" not in lines:
            findings.append((1, "a header needs #pragma once"))
        for number, line in enumerate(lines, start=1):
            if line.lstrip().startswith("using namespace"):
                findings.append(
                    (
                        number,
                        "no 'using namespace' in a header: it reaches everybody who includes it",
                    )
                )
    if path.suffix == ".py":
        try:
            compile(text, name, "exec")
        except SyntaxError as error:
            findings.append((error.lineno or 1, f"Python: {error.msg}"))
    return findings


def main():
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        print(__doc__)
        return 0 if len(sys.argv) > 1 else 2
    found = False
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        if not path.is_file() or path.is_symlink():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for line, sentence in check_text(name, text):
            print(f"{name}:{line}: {sentence}")
            found = True
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
