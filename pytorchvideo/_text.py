# SPDX-License-Identifier: Apache-2.0
"""Untrusted text and json: bounded, with errors that name the file and the line."""

import codecs
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorchvideo._checks import expected, shortened

MAX_BYTES = 1 << 30
"""Of a file. The largest lists in use, of the frames of Something-Something, have some 750 MB."""
MAX_LINE = 1 << 20
"""Characters of a line."""
SMALL = 1 << 24
"""Bytes of a file that describes one thing, such as a model or a run."""

_MAX_DEPTH = 100
_MAX_BITS = 1023  # of a whole number: more do not fit into a float
# the longer ones first: that of UTF-32 begins with that of UTF-16
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_TOO_LONG = "it has a number of hundreds of digits."
_HALF_CHARACTER = re.compile(r"\\u[dD]")

PathLike = str | os.PathLike[str]


def read_text(file: PathLike, wanted: str, *, max_bytes: int = MAX_BYTES) -> str:
    """Returns a file in UTF-8, without a byte-order mark; its lines end with a line feed.

    Args:
        file: its path.
        wanted: what it should hold, for the error.
        max_bytes: that it may have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not text in UTF-8, or larger.
    """
    path = _checked(file, wanted, max_bytes)
    try:
        with path.open(encoding="utf-8-sig") as opened:
            text = opened.read(max_bytes + 1)
    except UnicodeDecodeError as error:
        raise _no_text(path, wanted) from error
    if len(text) > max_bytes:  # a file that says it is empty, such as those of /proc
        raise ValueError(_too_large(path, wanted, max_bytes))
    if "\0" in text:
        raise _null(path, 1 + text[: text.index("\0")].count("\n"), wanted)
    return text


def read_lines(
    file: PathLike, wanted: str, *, max_bytes: int = MAX_BYTES, keep_bytes: bool = False
) -> Iterator[tuple[int, str]]:
    """Yields the number and the text of every line of a file in UTF-8, without its end and without byte-order marks.

    Args:
        file: its path.
        wanted: what it should hold, for the error.
        max_bytes: that it may have.
        keep_bytes: what is no UTF-8 stands for the bytes of a file's name, as in ``os.fsdecode``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not text in UTF-8, or larger, or has a line of more than ``MAX_LINE`` characters.
    """
    path = _checked(file, wanted, max_bytes)
    errors = "surrogateescape" if keep_bytes else "strict"
    read = number = 0
    try:
        with path.open(encoding="utf-8", errors=errors) as opened:
            while line := opened.readline(MAX_LINE + 1):
                read, number = read + len(line), number + 1
                if len(line) > MAX_LINE:
                    raise ValueError(
                        f"{path}, line {number}: the line has more than {MAX_LINE:,} characters. Expected {wanted}."
                    )
                if "\0" in line:
                    raise _null(path, number, wanted)
                if read > max_bytes:
                    raise ValueError(_too_large(path, wanted, max_bytes))
                # lists that were joined have a mark in the middle, too
                yield number, line.removesuffix("\n").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _no_text(path, wanted) from error


def parse_json(
    text: str, source: PathLike, line: int | None = None, *, finite: bool = False
) -> Any:
    """Returns what a text in json (RFC 8259) holds, whose objects have each name once.

    Args:
        text: the json.
        source: the file that it is from, for errors.
        line: the only line of the file that it is; None for the whole file.
        finite: refuse ``NaN`` and ``Infinity``, which json does not have, but Python and pandas write.

    Raises:
        ValueError: it is something else; the message says where.

    >>> parse_json('{"run": 0, "run": 1}', "labels.json")
    Traceback (most recent call last):
    ValueError: labels.json: the name 'run' comes twice in an object.
    """
    where = f"{os.fspath(source)}" + ("" if line is None else f", line {line}")
    try:
        content = json.loads(text, object_pairs_hook=_unique)
        _check_values(content, finite)
        if _HALF_CHARACTER.search(text):  # which could not be written anywhere
            json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        number = error.lineno if line is None else line
        raise ValueError(f"{os.fspath(source)}, line {number}: not json: {error.msg}.") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: it has half of a character (\\ud800 to \\udfff).") from error
    except RecursionError as error:
        raise ValueError(f"{where}: it is nested more than {_MAX_DEPTH} deep.") from error
    except ValueError as error:
        is_ours = isinstance(error, _Refused)  # or Python's: "Exceeds the limit (4300 digits)"
        raise ValueError(f"{where}: {error if is_ours else _TOO_LONG}") from error
    return content


def read_json(
    file: PathLike,
    wanted: str = "a json file",
    *,
    max_bytes: int = MAX_BYTES,
    finite: bool = False,
) -> Any:
    """Returns what a json file holds; see :func:`parse_json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json, or larger than ``max_bytes``; the message says where.
    """
    return parse_json(read_text(file, wanted, max_bytes=max_bytes), file, finite=finite)


def read_object(file: PathLike, wanted: str) -> dict[str, Any]:
    """Returns the object that a small json file holds, such as the description of a model or of a run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or is larger than ``SMALL``.
    """
    content = read_json(file, wanted, max_bytes=SMALL, finite=True)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected {wanted}, an object, but got {_kind(content)}.")
    return content


def markdown(text: object) -> str:
    """Returns a text as one line of markdown that shows it, whatever it holds.

    CommonMark 0.31, section 2.4: a backslash takes the meaning from any sign of punctuation in ASCII.

    >>> print(markdown("<b>run_fast</b>"))
    \\<b\\>run\\_fast\\</b\\>
    """
    line = re.sub(r"([\\`*_{}\[\]<>#|~!&$])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"^(\d*)([-+.)])", r"\1\\\2", line)  # where a list would begin


def seconds(value: object) -> float:
    """Returns a time out of a json file.

    Raises:
        ValueError: it is none.

    >>> seconds(2), seconds("2.5")
    (2.0, 2.5)
    """
    number = float(value) if isinstance(value, (int, float, str)) else math.nan
    if not math.isfinite(number):
        raise ValueError(expected("time", "a number of seconds", value))
    return number


def _checked(file: PathLike, wanted: str, max_bytes: int) -> Path:
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Expected {wanted}.")
    if path.stat().st_size > max_bytes:
        raise ValueError(_too_large(path, wanted, max_bytes))
    with path.open("rb") as opened:
        start = opened.read(4)
    for mark, name in _OTHER_MARKS.items():
        if start.startswith(mark):
            raise ValueError(
                f"{path} is not a text file in UTF-8, but in {name}. Save it as UTF-8. Expected {wanted}."
            )
    return path


def _too_large(path: Path, wanted: str, max_bytes: int) -> str:
    return f"{path} is larger than {max_bytes / (1 << 20):g} MiB. Expected {wanted}."


def _null(path: Path, number: int, wanted: str) -> ValueError:
    """For UTF-16 without a mark, or no text at all."""
    said = f"is not a text file: line {number} has a null character"
    return ValueError(f"{path} {said}. Expected {wanted}.")


def _no_text(path: Path, wanted: str) -> ValueError:
    """The error that names the line of the first byte that is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    number, byte = 1, b""
    with path.open("rb") as opened:
        while piece := opened.read(1 << 16):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                number += error.object[: error.start].count(b"\n")
                byte = error.object[error.start : error.start + 1]
                break
            number += piece.count(b"\n")
    found = f"the byte 0x{byte.hex()}" if byte else "half of a character"
    said = f"is not a text file in UTF-8: line {number} has {found}. Save it as UTF-8"
    return ValueError(f"{path} {said}. Expected {wanted}.")


class _Refused(ValueError):
    """What json may have, but no file here."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise _Refused(f"the name {shortened(twice)!r} comes twice in an object.")
    return made


def _check_values(content: Any, finite: bool) -> None:
    """Raises an error for what later code would stumble over."""
    level = [content]
    for _ in range(_MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                inner += value.values()
            elif kind is list:
                inner += value
            elif kind is int and value.bit_length() > _MAX_BITS:
                raise _Refused(_TOO_LONG)
            elif kind is float and finite and not math.isfinite(value):
                raise _Refused(f"expected finite numbers, but got {value}.")
        if not inner:
            return
        level = inner
    raise RecursionError


def _kind(content: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(content), "a number")


def counted(number: int, noun: str, form: str = "") -> str:
    """Returns a number with its noun.

    Args:
        number: of the things.
        noun: one of them; its last word is the one that changes.
        form: of the number, as ``","``.

    >>> counted(1, "held-out video"), counted(0, "class"), counted(3, "copy"), counted(1200, "byte", ",")
    ('1 held-out video', '0 classes', '3 copies', '1,200 bytes')
    >>> counted(2, "epoch"), counted(2, "batch")
    ('2 epochs', '2 batches')
    """
    if number != 1:
        if re.search("(s|x|z|[^o]ch|sh)$", noun):
            noun += "es"
        else:
            noun = f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"
    return f"{number:{form}} {noun}"


def are(number: int) -> str:
    """Returns the verb for so many things.

    >>> are(1), are(0)
    ('is', 'are')
    """
    return "is" if number == 1 else "are"


def none_of(number: int, noun: str) -> str:
    """Returns the subject of a sentence on things none of which is as it should be.

    >>> none_of(3, "video"), none_of(1, "video")
    ('None of the 3 videos', 'No video')
    """
    return f"No {noun}" if number == 1 else f"None of the {counted(number, noun)}"


def named(path: str, reason: str) -> str:
    """Returns a reason with the path before it, unless it names it.

    >>> named("a.mp4", "a.mp4 is empty."), named("a.mp4", "it is empty.")
    ('a.mp4 is empty.', 'a.mp4: it is empty.')
    """
    return reason if path in reason else f"{path}: {reason}"
