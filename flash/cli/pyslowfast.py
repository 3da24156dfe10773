# SPDX-License-Identifier: Apache-2.0
"""The options of ``train`` from a configuration of PySlowFast."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flash.cli.printing import say

if TYPE_CHECKING:
    from flash.runs.from_pyslowfast import PySlowFastTraining


def words_of(data: str | None, words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Returns DATA and the pairs of what stands behind ``train``: an odd number of words begins with DATA.

    >>> words_of("clips", ["NUM_GPUS", "1"]), words_of("NUM_GPUS", ["1"]), words_of(None, [])
    (('clips', ['NUM_GPUS', '1']), (None, ['NUM_GPUS', '1']), (None, []))
    """
    given = [*([] if data is None else [data]), *words]
    return (given[0], given[1:]) if len(given) % 2 else (None, given)


def read(file: Path, pairs: Sequence[str]) -> "PySlowFastTraining":
    """Reads a configuration to train by, and says which of its keys no run has a use for.

    Raises:
        ValueError: it is for a test alone; see also
            :func:`~flash.runs.from_pyslowfast.read_pyslowfast_config`.
    """
    from flash.runs.from_pyslowfast import read_pyslowfast_config

    asked = read_pyslowfast_config(file, pairs)
    if not asked.trains:
        raise ValueError(f"{file}: TRAIN.ENABLE is False. `{asked.test_command()}` tests.")
    if asked.left:
        say(f"{file} has keys that no run has a use for:")
    for sentence in asked.left:
        say(f"  {sentence}")
    return asked


def videos(asked: "PySlowFastTraining", out: Path) -> str:
    """Returns DATA of a configuration; lists of another form than ours are written anew, into ``out``.

    Raises:
        ValueError: it names none.
        FileNotFoundError: there is no such folder.
    """
    from flash.runs.from_pyslowfast import prepared_lists

    if asked.lists is None:
        raise ValueError(
            "Expected DATA, or DATA.PATH_TO_DATA_DIR FOLDER with train.csv and val.csv, behind the configuration."
        )
    return prepared_lists(asked.lists, out / "lists")


def options(asked: "PySlowFastTraining", given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a run that no recipe has; a checkpoint to begin with is converted.

    Args:
        asked: of the configuration.
        given: the options of the run; ``weights`` and ``pretrained`` count before the checkpoint, which is written
            into the folder ``out``.
    """
    if asked.weights is None or given.get("weights") or given.get("pretrained") is not None:
        return dict(asked.options)
    from pytorchvideo.models.pyslowfast import read_pyslowfast, write_pyslowfast

    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    start = read_pyslowfast(asked.weights, asked.recipe.model)
    file = write_pyslowfast(start, out / "start.pth", native=False)
    return {**asked.options, "weights": str(file)}
