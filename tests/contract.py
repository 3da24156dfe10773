# SPDX-License-Identifier: Apache-2.0
"""Makes ``tests/signatures.json``: python tests/contract.py SPECIFICATION.md NAMES.json > tests/signatures.json

The specification lists, in its appendix A, every public callable with its signature; NAMES.json the names that the
modules of PyTorchVideo define and those, private ones too, that client code uses.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Table = dict[str, dict[str, dict[str, Any]]]

# The appendix leaves out every ``self``, this function's own argument too.
CORRECTED = {"set_attributes": {"signature": "(self, params=None)"}}


def split(text: str, separator: str = ",") -> Iterator[str]:
    """The parts of a text between separators that stand in no bracket."""
    depth, part = 0, ""
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == separator and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part.strip():
        yield part.strip()


def groups(text: str) -> list[str]:
    """``Name(a)(b, c)`` -> ["a", "b, c"]: what stands in the outermost brackets."""
    found, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        if letter == "(":
            start = i + 1 if depth == 0 else start
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                found.append(text[start:i])
    return found


def signature(arguments: str, bound: str | None = None) -> str:
    """A signature as a line of Python; members of enumerations and what is in a module by their last name.

    Lambdas and private functions are ``...``.
    """
    arguments = re.sub(r"<\w+\.(\w+): [^>]*>", r"\1", arguments)
    arguments = re.sub(r"\b[a-z]\w*\.([A-Z]\w*)", r"\1", arguments)
    arguments = re.sub(r"<lambda>|(?<==)_\w+", "...", arguments)
    return f"({', '.join(one for one in split(arguments) if one != bound)})"


def entry(line: str) -> tuple[str, dict[str, Any]]:
    """Name and entry of a line of the appendix."""
    head, _, methods = line.removeprefix("- ").partition(" ; methods: ")
    kind, _, head = head.partition(" ")
    name = re.match(r"\w+", head)[0]  # type: ignore[index]
    arguments = groups(head)[-1] if groups(head) else "inherited"
    made: dict[str, Any] = {} if arguments == "inherited" else {"signature": signature(arguments)}
    members: dict[str, str | None] = {}
    for method in split(methods):
        text, _, mark = method.partition(" [")
        own = re.match(r"\w+", text)[0]  # type: ignore[index]
        is_class_method = mark.startswith("classmethod")
        plain = mark.startswith("property") or not groups(text)
        members[own] = (
            None if plain else signature(groups(text)[0], "cls" if is_class_method else None)
        )
    if kind == "class" and members:
        made["members"] = members
    return name, made


def read(specification: str, defined: dict[str, list[str]]) -> Table:
    """The table of a specification, and of the names that its appendix does not have."""
    table: Table = {}
    for line in specification.partition("## Appendix A.")[2].splitlines():
        if title := re.fullmatch(r"\*\*(pytorchvideo[\w.]*)\*\*", line):
            module = table.setdefault(title[1], {})
        elif line.startswith("**"):
            module = {}  # a module that the public library cannot import
        elif line.startswith("- "):
            name, made = entry(line)
            module[name] = CORRECTED.get(name, made)
    for path, names in defined.items():
        for name in names:
            table.setdefault(path, {}).setdefault(name, {})
        table.setdefault(path, {})
    return {path: table[path] for path in sorted(table)}


def write(table: Table, clients: list[str]) -> str:
    """The table as json, a name a line."""
    modules = []
    for path, names in table.items():
        lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(e)}" for n, e in sorted(names.items()))
        modules.append(f"{json.dumps(path)}: " + (f"{{\n{lines}\n}}" if lines else "{}"))
    modules.append(f'"clients": {json.dumps(sorted(set(clients)), indent=1)}')
    return "{\n" + ",\n".join(modules) + "\n}\n"


if __name__ == "__main__":
    names = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write(write(read(text, names["defined"]), names["clients"]))
