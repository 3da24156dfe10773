# SPDX-License-Identifier: Apache-2.0
"""Videos that a visitor of the page can click: some that the run has held out."""

from itertools import chain, zip_longest
from pathlib import Path

from flash.runs.folder import RunFolder
from flash.runs.sources import Sources

# containers that browsers play
_PLAYED = {".m4v", ".mp4", ".webm"}


def examples_of(run: Path, most: int = 4) -> list[Path]:
    """Returns held-out videos of a run, of each class one before the next, as far as they are still there.

    The list of these is a file of the run, which may come from a stranger: only videos that lie, links followed, in the
    folder of the run's data are taken, and only those that browsers play.

    Args:
        run: folder of the run.
        most: how many.

    Raises:
        ValueError: the run's files are not those of a run.
    """
    folder = RunFolder(run)
    if most < 1 or not folder.split_file.is_file() or not folder.config_file.is_file():
        return []
    data = Path(folder.read_config().data)
    root = (data if data.is_dir() else data.parent).resolve()
    classes: dict[str, list[Path]] = {}
    for name, label in Sources.from_file(folder.split_file).val:
        path = Path(name).resolve()
        if path.suffix.lower() in _PLAYED and path.is_relative_to(root) and path.is_file():
            classes.setdefault(label, []).append(path)
    turns = chain.from_iterable(zip_longest(*classes.values()))
    return [path for path in turns if path is not None][:most]
