# SPDX-License-Identifier: Apache-2.0
"""The short form of ``benchmarks/faults.py``: nothing is lost and nothing is done twice, whatever is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")

REPO = Path(__file__).resolve().parent.parent
STORED = json.loads((REPO / "benchmarks/results/faults.json").read_text("utf-8"))["cases"]


def rows_of(*cases: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "benchmarks/faults.py", *cases, "--short", "--json"],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@pytest.mark.parametrize(
    ("cases", "least"),
    [
        (("shards", "prepare", "caches"), {"write_shards": 3, "prepare": 1, "index cache": 1}),
        pytest.param(("loaders",), {}, marks=pytest.mark.slow),
        pytest.param(("limits", "read_only"), {}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_nothing_is_lost_or_repeated(cases: tuple[str, ...], least: dict[str, int]) -> None:
    rows = rows_of(*cases)
    assert rows
    assert [row for row in rows if row["lost"] or row["repeated"]] == []
    kills = {row["case"]: row["kills"] for row in rows}
    assert all(kills[case] >= count for case, count in least.items()), kills


def test_the_stored_table_says_that_nothing_was_lost() -> None:
    assert set(STORED) == {
        *("loaders", "workers", "caches", "limits", "read_only", "shards", "prepare"),
        *("train", "reports", "clock", "encodes"),
    }
    rows = [row for case in STORED.values() for row in case]
    assert [row for row in rows if row["lost"] or row["repeated"]] == []
    assert sum(row["kills"] for row in rows) >= 300
    # 1 to 3 ranks: alone, 1 to 4 workers of 3 kinds, and shares made equal in 2 ways
    assert len(STORED["loaders"]) == 3 * (1 + 4 * 3 + 2)
    (encodes,) = STORED["encodes"]
    assert int(encodes["said"].split()[0]) >= 368
