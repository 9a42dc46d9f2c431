#!/usr/bin/env python3
"""Usage: check_types.py PROJECT

Finds types that two files of a project define under one name. Where no file sees both, no compiler
objects, and the program may use the functions of one for the other.
"""
import collections
import pathlib
import re
import sys

# Namespaces are not indented, so what begins a line is of a namespace.
OPENED = re.compile(r"namespace ?([\w:]*) \{$")
CLOSED = re.compile(r"\} // namespace")
DEFINED = re.compile(r"(?:struct|class|enum class|union) (\w+)(?: final)?(?: :.*| \{.*)$")


def types_in(text):
    """The types that are defined in namespaces that other files have, too, with these."""
    namespaces = []
    for line in text.splitlines():
        if opened := OPENED.match(line):
            namespaces.append(opened[1])
        elif CLOSED.match(line):
            del namespaces[-1:]  # a body that is included may have opened it
        elif (defined := DEFINED.match(line)) and "" not in namespaces:
            yield "::".join([*namespaces, defined[1]])


def twins_in(files):
    """The names that more than one of `files`, a path for each text, defines."""
    places = collections.defaultdict(set)
    for path, text in files.items():
        for name in types_in(text):
            places[name].add(path)
    return {name: sorted(paths) for name, paths in places.items() if len(paths) > 1}


def check_itself():
    first = "namespace a {\nstruct Twin {\n};\nnamespace {\nclass Hidden final {\n};\n"
    first += "} // namespace\nclass Declared;\nenum class Kind { x, y };\n} // namespace a\n"
    for second, expected in {
        "namespace a {\nclass Twin : public B {\n};\n} // namespace a\n": {"a::Twin"},
        "namespace b {\nstruct Twin {\n};\n} // namespace b\n": set(),
        "namespace a {\nnamespace {\nstruct Twin {\n};\n} // namespace\n} // namespace a\n": set(),
        "namespace a {\nclass Hidden {\n};\nstruct Declared {\n};\n} // namespace a\n": set(),
        "namespace a {\nnamespace {\n} // namespace\nenum class Kind { z };\n}\n": {"a::Kind"},
    }.items():
        found = set(twins_in({"first": first, "second": second}))
        assert found == expected, f"found {found} of {expected} in\n{second}"


def main():
    check_itself()
    project = pathlib.Path(sys.argv[1])
    files = {path: path.read_text() for folder in ("include", "src", "bench")
             for path in (project / folder).rglob("*.?pp")}
    for name, paths in twins_in(files).items():
        print(f"{name} is defined in", *(path.relative_to(project) for path in paths),
              file=sys.stderr)
    sys.exit(1 if twins_in(files) else 0)


if __name__ == "__main__":
    main()
