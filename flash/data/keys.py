# SPDX-License-Identifier: Apache-2.0
"""The names under which a sample's parts travel."""

from collections.abc import Mapping
from enum import Enum
from typing import Any


class DataKeys(str, Enum):
    """Keys of a batch; usable wherever a string key is.

    >>> {"input": 1}[DataKeys.INPUT]
    1
    """

    INPUT = "input"
    TARGET = "target"
    PREDS = "preds"
    METADATA = "metadata"

    def __hash__(self) -> int:
        return hash(self.value)


#: A clip is ``video`` for PyTorchVideo and ``input`` for later Flash; likewise its class.
INPUT_KEYS = ("video", "input")
TARGET_KEYS = ("label", "target")


def first_of(batch: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Returns the value of the first of ``keys`` that the batch has.

    Raises:
        KeyError: if it has none of them.

    >>> first_of({"input": 1}, INPUT_KEYS)
    1
    """
    for key in keys:
        if key in batch:
            return batch[key]
    wanted = " or ".join(repr(key) for key in keys)
    raise KeyError(
        f"Expected the batch to have the key {wanted}, but its keys are {sorted(batch)}."
    )
