# SPDX-License-Identifier: Apache-2.0
"""Keys of a sample, in the names of both generations of Flash."""

from collections.abc import Iterable, Mapping
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
_OWN_NAME = {"input": "video", "target": "label"}


def own_name(key: Any) -> Any:
    """Returns the name under which a :class:`Sample` keeps an entry.

    >>> own_name(DataKeys.INPUT), own_name("target"), own_name("audio")
    ('video', 'label', 'audio')
    """
    return _OWN_NAME.get(key, key)


class Sample(dict[str, Any]):
    """A sample or batch whose ``video`` may also be called ``input``, and whose ``label`` ``target``.

    Made from a dict that has both names, it takes the later Flash's: a transform has just added it.

    >>> sample = Sample(video=1, label=0)
    >>> sample[DataKeys.INPUT], "target" in sample, sorted(sample)
    (1, True, ['label', 'video'])
    >>> sample["input"] = 2
    >>> sample["video"]
    2
    """

    def __init__(
        self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), **more: Any
    ) -> None:
        super().__init__()
        self.update(entries, **more)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(own_name(key))

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(own_name(key), value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(own_name(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(own_name(key))

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(own_name(key), default)

    def pop(self, key: str, *default: Any) -> Any:
        return super().pop(own_name(key), *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        return super().setdefault(own_name(key), default)

    def update(self, entries: Any = (), /, **more: Any) -> None:
        given = {**dict(entries), **more}
        # the other names last, wherever they stand
        for key in sorted(given, key=lambda key: key in _OWN_NAME):
            self[key] = given[key]

    def copy(self) -> "Sample":
        return Sample(self)


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
