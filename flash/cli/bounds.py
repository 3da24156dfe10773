# SPDX-License-Identifier: Apache-2.0
"""Version bounds of ``pyproject.toml``, read from the installed metadata."""

import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def is_stated(package: str) -> bool:
    """Whether the library or one of its extras requires a package."""
    return _key(package) in _stated()


def requirement(package: str) -> str:
    """Returns what to give to pip for a package: its name with the stated versions, or the name alone.

    >>> requirement("no-such-package")
    'no-such-package'
    """
    stated = _stated().get(_key(package))
    return package if stated is None else f"{stated.name}{stated.specifier}"


def complaint(package: str) -> str:
    """Returns why an installed version is outside the stated ones, "" if it is not or nothing is stated.

    Raises:
        PackageNotFoundError: if the package is not installed.
    """
    stated, found = _stated().get(_key(package)), version(package)
    if stated is None or stated.specifier.contains(found, prereleases=True):
        return ""
    return f"{package} is {found}, which {requirement(package)} leaves out"


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _stated() -> "dict[str, Requirement]":
    from packaging.requirements import Requirement

    try:
        lines = requires("pytorchvideo") or []
    except PackageNotFoundError:
        return {}  # a checkout on the path
    found = map(Requirement, lines)
    return {_key(one.name): one for one in found if one.name != "pytorchvideo"}
