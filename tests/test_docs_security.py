# SPDX-License-Identifier: Apache-2.0
"""The figures in docs/security.md are those of the code."""

import csv
import inspect
import re
from pathlib import Path

import pytest

from flash.core.data.utils import _SMALL_BYTES, MOST_MEMBERS, MOST_TIMES
from flash.serve.guard import Guard
from flash.serve.service import Limits as ServerLimits
from pytorchvideo import _text
from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES
from pytorchvideo.data._decode._limits import Limits
from pytorchvideo.data.epic_kitchen.epic_kitchen_dataset import _MOST_CHARACTERS
from pytorchvideo.data.labeled_video_paths import _MOST_CLASSES
from pytorchvideo.models._weights.rebuild import _HF_FAMILIES

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "security.md").read_text("utf-8").split())


def test_figures() -> None:
    limits, server = Limits(), ServerLimits()
    guard = inspect.signature(Guard).parameters
    for sentence in (
        f"`memory_limit_bytes` ({limits.memory_bytes >> 30} GiB)",
        f"`time_limit_sec` ({limits.time_sec:g})",
        f"at most {_text.MAX_BYTES >> 30} GiB with lines of at most 2^20 characters",
        f"a csv file has at most {csv.field_size_limit():,} characters",
        f"nested {_text._MAX_DEPTH} deep",
        f"of at most {_MOST_CHARACTERS:,} characters",
        f"at most {server.max_bytes / 1e6:g} MB (`--max-size`) and {server.max_seconds:g} s",
        f"of which {server.max_clips} clips are looked at",
        f"within {guard['body_sec'].default:g} s with no pause above {guard['idle_sec'].default:g} s",
        f"and {server.max_waiting} requests may wait",
        f"({_SMALL_BYTES >> 20} MiB at least; `max_unpacked_bytes`)",
    ):
        assert sentence in PAGE
    assert _text.MAX_LINE == 2**20
    assert (MOST_MEMBERS, MOST_TIMES) == (2_000_000, 100)
    assert "more than two million members, and more than a hundred times" in PAGE
    assert _MOST_CLASSES == 1_000_000
    assert "are below a million" in PAGE
    assert len(_HF_FAMILIES) == 6
    assert "or of six families of `transformers`" in PAGE


@pytest.mark.parametrize("runs_code", [True, False])
def test_runtimes(runs_code: bool) -> None:
    names = {name for name, runtime in RUNTIMES.items() if runtime.runs_code == runs_code}
    rows = re.findall(r"\| an artefact of ([^|]*) \| (yes|no)", PAGE)
    assert {
        name
        for row, said in rows
        if (said == "yes") == runs_code
        for name in re.findall(r"`([^`]*)`", row)
    } == names


def test_options() -> None:
    files = (Path(__file__).parents[1] / "flash/cli").glob("*.py")
    help_of = "\n".join(file.read_text("utf-8") for file in files)
    for option in re.findall(r"`(--[a-z-]+)", PAGE):
        is_there = f'"{option}"' in help_of or option in ("--resume", "--run")
        assert is_there != (option == "--share")  # of which the page says that there is none
    assert 'envvar="PYTORCHVIDEO_TOKEN"' in help_of
