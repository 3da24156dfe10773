# SPDX-License-Identifier: Apache-2.0
"""Damaged files end as a clip or as an error that names them: never as a crash, a hang, or a loss of memory.

    FUZZ_CASES=2000 pytest tests/data/test_damaged_files.py -k mutated

is a long campaign with new cases; without the variable the same few are tried every time.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

READER = Path(__file__).with_name("read_damaged.py")
CASES = int(os.environ.get("FUZZ_CASES", "0"))
TIME_LIMIT_SEC = 60

CONTAINERS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"audio_rate": 16000},
    "index_first.mp4": {"audio_rate": 16000, "container_options": {"movflags": "faststart"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "h264.mkv": {"audio_rate": 16000},
    "mpeg4.avi": {"codec": "mpeg4"},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "h264.ts": {"audio_rate": 16000},
    "mpeg2.ts": {"codec": "mpeg2video", "audio_rate": 16000},
    "mpeg1.mpg": {"codec": "mpeg1video"},
}


class Reader:
    """A process that reads files; it is started anew after a crash or a hang."""

    def __init__(self) -> None:
        self.cases = self.good = self.refused = 0
        self._process: Any = None

    def read(self, path: Path) -> dict[str, Any]:
        """What came of a file; how it went wrong is under ``"wrong"``."""
        self.cases += 1
        if self._process is None:
            self._start()
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=TIME_LIMIT_SEC)
        except queue.Empty:
            line = None
        if not line:
            self._process.kill()
            status = self._process.wait()
            self._process = None
            why = f"a hang of {TIME_LIMIT_SEC} s" if line is None else f"a crash, status {status}"
            return {"wrong": {"process": why}}
        answer: dict[str, Any] = json.loads(line)
        self.good += answer["good"]
        self.refused += answer["refused"]
        return answer

    def _start(self) -> None:
        self._answers: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(READER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        threading.Thread(
            target=_pass_on, args=(self._process.stdout, self._answers), daemon=True
        ).start()

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()


def _pass_on(lines: Any, answers: "queue.Queue[str]") -> None:
    for line in lines:
        answers.put(line)
    answers.put("")  # the process is gone


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


@pytest.fixture(scope="module")
def sound_files(make_video: Callable[..., Path]) -> Path:
    """A folder of one file of each kind."""
    for name, options in CONTAINERS.items():
        path = make_video(f"sound/{name}", num_frames=24, options={"g": "8"}, **options)
    return path.parent


# A place is a share of the file, or a number of bytes from one of its ends, where the headers are.
PLACES = st.one_of(st.floats(0, 1), st.integers(0, 1500), st.integers(-1500, -1))
CHANGES = st.one_of(
    st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
    st.tuples(st.just("write"), PLACES, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("insert"), PLACES, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 3000)),
    st.tuples(st.just("delete"), PLACES, st.integers(1, 3000)),
    st.tuples(st.just("swap"), PLACES, st.integers(1, 3000)),
    st.tuples(st.just("cut"), PLACES, st.none()),
)


def changed(data: bytes, change: tuple[str, float, Any]) -> bytes:
    """A file with one kind of damage."""
    kind, place, value = change
    size = len(data)
    at = int(place * size) if isinstance(place, float) else place % size if size else 0
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        return data[:at] + bytes(b ^ value for b in data[at : at + 1]) + data[at + 1 :]
    if kind == "write":
        return data[:at] + value + data[at + len(value) :]
    if kind == "insert":
        return data[:at] + value + data[at:]
    block, after = data[at : at + value], data[at + value :]
    if kind == "repeat":
        return data[:at] + block + block + after
    if kind == "delete":
        return data[:at] + after
    return data[:at] + after[:value] + block + after[value:]


@given(st.sampled_from(sorted(CONTAINERS)), st.lists(CHANGES, min_size=1, max_size=4))
@settings(
    max_examples=CASES or 60,
    derandomize=not CASES,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a smaller case is not worth a process for each step
    suppress_health_check=list(HealthCheck),
)
def test_mutated_files_are_read_or_refused(
    reader: Reader,
    sound_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    changes: list[tuple[str, float, Any]],
) -> None:
    data = (sound_files / name).read_bytes()
    for change in changes:
        data = changed(data, change)
    path = tmp_path_factory.getbasetemp() / f"mutated{Path(name).suffix}"
    path.write_bytes(data)
    wrong = reader.read(path)["wrong"]
    assert not wrong, f"{name} with {changes}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
