# SPDX-License-Identifier: Apache-2.0
"""Class names of the data sets that published weights were trained on, one a line in class order."""

from functools import cache
from importlib.resources import files


@cache
def class_names(dataset: str) -> tuple[str, ...]:
    """Returns the class names of a data set, the position being the class number.

    >>> class_names("kinetics400")[6]
    'arm wrestling'
    """
    return tuple((files(__name__) / f"{dataset}.txt").read_text(encoding="utf-8").splitlines())
