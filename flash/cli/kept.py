# SPDX-License-Identifier: Apache-2.0
"""Results of interrupted commands on disk, and the command that goes on; see :mod:`flash.cli.interrupts`.

Apart from the code that writes these folders: that takes seconds to import, in which a command can be interrupted.
"""

import shlex
import shutil
from pathlib import Path

#: What a command says that keeps nothing.
NOTHING = "nothing is kept; the same command starts from the beginning."


#: A file in the folder of a demo.
DEMO_MARK = ".pytorchvideo-demo"


def by_demo(out: Path) -> str:
    """Returns how to go on with the demo in a folder."""
    if not (out / DEMO_MARK).is_file():
        return NOTHING
    return f"the same command starts anew what is in {out}."


def by_train(out: Path) -> str:
    """Returns how to go on with the run in a folder."""
    if not (out / "config.json").is_file():
        return NOTHING
    command = shlex.join(["pytorchvideo", "train", "--resume", "--out", str(out)])
    return f"`{command}` goes on with what is in {out}."


def by_timeline(out: Path) -> str:
    """Returns how to go on with the timeline in a folder."""
    if not (out / "progress.jsonl").is_file():
        return NOTHING
    return f"the same command with --resume goes on with what is in {out}."


def by_reproduce(out: Path) -> str:
    """Returns how to go on with the test in a folder."""
    if not any(out.glob("scores*.jsonl")):  # of the whole, or of a shard
        return NOTHING
    return f"the same command with --resume goes on with what is in {out}."


def by_prepare(out: Path | None, shards: Path | None) -> str:
    """Returns how to go on with a preparation."""
    begun = out is not None and (out / "prepared.jsonl").is_file()
    kept = [str(out)] if begun else []
    if shards is not None and (shards / "unfinished.jsonl").is_file():
        kept.append(str(shards))
    return f"the same command goes on with what is in {' and '.join(kept)}." if kept else NOTHING


def make_room(out: Path) -> None:
    """Removes an earlier demo, known by the mark that it left, and nothing else."""
    mark = out / DEMO_MARK
    for name in ("data", "run", "detected"):
        if (out / name).exists() and not mark.exists():
            raise FileExistsError(
                f"{out / name} is there already, and is not of a demo. Choose another --out."
            )
        if (out / name).exists():
            shutil.rmtree(out / name)
    mark.touch()
