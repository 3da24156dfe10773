# SPDX-License-Identifier: Apache-2.0
"""Values of a configuration of PySlowFast: its yaml, what it is based on, and pairs of a key and a value."""

import ast
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flash.core.plain_yaml import parse_yaml
from flash.runs._pyslowfast_keys import FIXED, KNOWN, LEFT, LEFT_SECTIONS, NETWORKS
from pytorchvideo._checks import expected, near_names, shortened
from pytorchvideo._text import read_text

_LARGEST = 1 << 20  # bytes of a file
_LONGEST = 1_000  # characters of a text that may be a literal
_BASE = "_BASE_"
_MOST_BASES = 8
_MOST = 1e15  # of numbers
# share of equal characters from which on a name is taken for another that is misspelt
_ALIKE = 0.85


def read_values(file: str | os.PathLike[str], pairs: Sequence[str] = ()) -> "Values":
    """Reads a configuration.

    Args:
        file: yaml of plain values; ``_BASE_`` in it names another, beside it, whose values count where it has none.
        pairs: ``KEY VALUE KEY VALUE``, as after ``--opts``; they count before the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no plain yaml, or no configuration; a key is not known, and looks like one that is.
    """
    name = os.fspath(file)
    given = _read(Path(file), 0)
    if len(pairs) % 2:
        raise ValueError(
            f"Expected KEY VALUE pairs after {name}, as SOLVER.BASE_LR 0.05, but {pairs[-1]} has no value."
        )
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if key not in given and key not in KNOWN and key.partition(".")[0] not in LEFT_SECTIONS:
            raise ValueError(f"There is no key {shortened(key)}. {near_names(key, KNOWN)}")
        given[key] = _decoded(value)
    for key in given:
        _check_spelling(key, name)
    return Values(given, name)


def _read(file: Path, depth: int) -> dict[str, Any]:
    if depth > _MOST_BASES:
        raise ValueError(f"{file}: expected at most {_MOST_BASES} files one {_BASE} of the other.")
    text = read_text(file, "a configuration of PySlowFast", max_bytes=_LARGEST)
    values = parse_yaml(text, str(file))
    if not isinstance(values, dict) or not values:
        wanted = "sections as TRAIN and SOLVER, with their keys"
        raise ValueError(expected(str(file), wanted, type(values).__name__))
    base = values.pop(_BASE, None)
    if base is None:
        return _flat(values, str(file))
    # a configuration may come from anywhere: it has no other files read than configurations near it
    is_near = isinstance(base, str) and not Path(base).is_absolute()
    if not is_near or Path(base).suffix not in (".yaml", ".yml"):
        wanted = "a yaml file by its path from this one"
        raise ValueError(f"{file}: " + expected(_BASE, wanted, base))
    below = _read(file.parent / base, depth + 1)
    return below | _flat(values, str(file))


def _flat(values: dict[Any, Any], file: str, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise ValueError(f"{file}: " + expected(prefix or "key", "names of keys", key))
        if isinstance(value, dict):
            found |= _flat(value, file, f"{prefix}{key}.")
        else:
            found[prefix + key] = _decoded(value)
    return found


def _decoded(value: Any) -> Any:
    """A value as PySlowFast has it, where texts may be numbers and lists; tuples are lists here.

    >>> _decoded("1e-4"), _decoded("(256, 320)"), _decoded("cosine"), _decoded("None")
    (0.0001, [256, 320], 'cosine', None)
    """
    if isinstance(value, str) and len(value) <= _LONGEST:
        try:
            value = ast.literal_eval(value.strip())  # of literals alone: nothing is called
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return value
    return _as_lists(value)


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _check_spelling(key: str, file: str) -> None:
    """Raises a ValueError for a key that looks like another; keys of other versions are listed, not refused."""
    section, dot, _ = key.partition(".")
    if key in KNOWN or (dot and key in LEFT):
        return
    known = [name for name in KNOWN if name.partition(".")[::2][0] == section] or KNOWN
    if difflib.get_close_matches(key, known, n=1, cutoff=_ALIKE):
        raise ValueError(f"{file}: unknown key `{shortened(key)}`. {near_names(key, known)}")


class Values:
    """The values of a configuration, of which those that nothing asked for are left in the end.

    Args:
        given: by their keys.
        file: they are from, for errors.
    """

    def __init__(self, given: dict[str, Any], file: str) -> None:
        self.given, self.file = given, file
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.given

    def error(self, key: str, wanted: str) -> ValueError:
        """Returns the error of a value."""
        return ValueError(f"{self.file}: " + expected(key, wanted, self.given.get(key)))

    def _get(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        return self.given.get(key, default)

    def number(self, key: str, default: float) -> float:
        """Returns a number."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, "a number")
        # whole numbers may have any number of digits
        if not -_MOST < value < _MOST:
            raise self.error(key, f"a number below {_MOST:g}")
        return float(value)

    def whole(self, key: str, default: int) -> int:
        """Returns a whole number."""
        value = self.number(key, default)
        if value != int(value):
            raise self.error(key, "a whole number")
        return int(value)

    def truth(self, key: str, default: bool) -> bool:
        """Returns True or False."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "True or False")
        return value

    def text(self, key: str, default: str) -> str:
        """Returns a text; None is an empty one."""
        value = self._get(key, default)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.error(key, "a text")
        return value

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """Returns one of several texts."""
        value = self.text(key, default)
        if value not in choices:
            raise self.error(key, f"one of {', '.join(choices)}")
        return value

    def numbers(self, key: str, count: int | None = None) -> list[float]:
        """Returns a list of numbers, empty where there is none."""
        value = self._get(key, [])
        is_list = isinstance(value, list) and all(
            isinstance(item, (int, float)) and not isinstance(item, bool) for item in value
        )
        if not is_list or (value and count is not None and len(value) != count):
            raise self.error(key, "a list of numbers" if count is None else f"{count} numbers")
        return list(value)

    def check_network(self, model: str) -> None:
        """Raises a ValueError for a value that no network of the zoo has.

        Args:
            model: that is built.
        """
        for key, allowed in NETWORKS.items():
            if key in self.given:
                self._asked.add(key)
                if self.given[key] not in allowed:
                    raise ValueError(
                        f"{self.file}: {key} is {shortened(repr(self.given[key]))}, and no network of the zoo is so: "
                        f"{model} has {allowed[0]}."
                    )
        location = self._get("NONLOCAL.LOCATION", [])
        if any(_leaves(location)):
            raise ValueError(
                f"{self.file}: NONLOCAL.LOCATION names blocks, and no network of the zoo has non-local ones."
            )

    def left(self) -> list[str]:
        """Returns a sentence for keys that nothing asked for, but those whose value is the one that a run has."""
        by_reason: dict[str, list[str]] = {}
        for key, value in self.given.items():
            if key in self._asked:
                continue
            allowed, reason = FIXED.get(key, ((), ""))
            # True is 1 for Python
            if any(
                value == one and isinstance(value, bool) is isinstance(one, bool) for one in allowed
            ):
                continue
            section = key.partition(".")[0]
            reason = reason or LEFT.get(key) or LEFT_SECTIONS.get(section, "not known here")
            by_reason.setdefault(reason, []).append(f"{key} {shortened(str(value), 60)}")
        return [f"{', '.join(keys)}: {reason}." for reason, keys in by_reason.items()]


def _leaves(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [True]
    return [leaf for item in value for leaf in _leaves(item)]
