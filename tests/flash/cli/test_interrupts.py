# SPDX-License-Identifier: Apache-2.0
"""Ctrl+C and SIGTERM at any moment: real processes, the status that shells give, one sentence, nobody left."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flash.cli.command import IMPORTING
from flash.cli.main import app
from pytorchvideo._files import write_whole
from pytorchvideo.transforms.clip_recipe import ClipRecipe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

REPO = Path(__file__).resolve().parents[2]
RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)
NOTHING = "Interrupted: nothing is kept; the same command starts from the beginning."
PATIENCE_SEC = 5.0  # it is two seconds where no other tests run beside

# every command with arguments that have it work for a while
COMMANDS = {
    "demo": "demo -o {new}",
    "train": "train {data} -o {new} --frames 4 --crop 32 --clip-duration 0.8 --epochs 99 --workers 1",
    "evaluate": "evaluate {data} -w {model} --clips 99",
    "reproduce": "reproduce {tested} {data} --protocol 99x1 -o {new}",
    "predict": "predict {long} -w {model} --clips uniform",
    "explain": "explain {long} -w {model} -o {new} --clips 150",
    "embed": "embed {data} -w {model} -o {new}.safetensors --workers 2",
    "compare": "compare {new} {new}",
    "review": "review {new}",
    "search": "search {new}.safetensors {long}",
    "probe": "probe {new}.safetensors",
    "export": "export {model} --to onnx -o {new}",
    "timeline": "timeline {long} -w {model} -o {new} --every 0.01",
    "detect": "detect {long} -w {model} --people {new}.csv -o {new}",
    "stream": "stream {long} -w {model} --realtime",
    "serve": "serve -w {model} --port 0",
    "models": "models",
    "configs": "configs list",
    "check": "check {data}",
    "prepare": "prepare {data} -o {new} --jobs 2 --preset veryslow",
    "doctor": "doctor",
}


def members(session: int) -> list[str]:
    """The command lines of the living processes of a session, but for Python's own tracker, which ends by itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_text()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and "resource_tracker" not in line:
            found.append(line)
    return found


def has_loaded_torch(process: subprocess.Popen[str]) -> bool:
    return "libtorch_cpu" in Path(f"/proc/{process.pid}/maps").read_text()


def interrupted(
    command: list[str],
    when: Callable[[subprocess.Popen[str]], bool],
    number: int = signal.SIGINT,
    times: int = 1,
    to_group: bool = True,
) -> tuple[int, str, float]:
    """Sends a signal to a process at a moment; its status, what it said, and the seconds it took."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(REPO),
        "MPLBACKEND": "Agg",
    }
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 300
        while not when(process):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sent = time.monotonic()
        for _ in range(times):
            # a terminal sends Ctrl+C to all that run in it
            (os.killpg if to_group else os.kill)(process.pid, number)
            time.sleep(0.1)
        said = process.communicate(timeout=60)[1]
        # what a command begins with, where the signal comes late enough
        lines = said.splitlines(True)
        said = "".join(one for one in lines if IMPORTING not in one and "x3d_xs, to " not in one)
        seconds = time.monotonic() - sent
    deadline = time.monotonic() + 5
    while left := members(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    return process.returncode, said, seconds


@pytest.fixture(scope="module")
def places(
    folder: Path,
    make_video: Callable[..., Path],
    make_model_file: Callable[..., Path],
) -> dict[str, Path]:
    return {
        "data": folder,
        "long": make_video("long.mp4", num_frames=900, fps=10),
        "model": make_model_file(RECIPE),
        "tested": make_model_file(RECIPE, sorted(one.name for one in folder.iterdir())),
    }


# -- every command ----------------------------------------------------------------------------------------------


def test_no_command_is_forgotten() -> None:
    callbacks = [command.callback for command in app.registered_commands]
    assert {callback.__name__ for callback in callbacks if callback is not None} == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name != "configs"]
)  # it needs no torch
def test_while_it_begins(name: str, places: dict[str, Path], tmp_path: Path) -> None:
    line = COMMANDS[name].format(new=tmp_path / "new", **places)
    status, said, seconds = interrupted(["-m", "flash", *shlex.split(line)], has_loaded_torch)
    assert (status, said.splitlines()[-1]) == (130, NOTHING)  # after what a command says at once
    assert seconds < PATIENCE_SEC
    assert list(tmp_path.rglob("*")) == []


def children(process: subprocess.Popen[str]) -> int:
    return len(members(process.pid)) - 1


MOMENTS: dict[str, tuple[str, Callable[[subprocess.Popen[str], Path], bool], str]] = {
    "an epoch": (
        "train",
        lambda process, new: (new / "checkpoints/last.ckpt").exists(),
        "`pytorchvideo train --resume --out {new}` goes on with what is in {new}.",
    ),
    "workers that decode": (
        "train",
        lambda process, new: (new / "config.json").exists() and children(process) == 1,
        "`pytorchvideo train --resume --out {new}` goes on with what is in {new}.",
    ),
    "workers that read": (
        "embed",
        lambda process, new: children(process) >= 2,
        NOTHING.partition(": ")[2],
    ),
    "clips": (
        "timeline",
        lambda process, new: (new / "progress.jsonl").exists(),
        "the same command with --resume goes on with what is in {new}.",
    ),
    "videos that are tested": (
        "reproduce",
        lambda process, new: (new / "scores.jsonl").exists(),
        "the same command with --resume goes on with what is in {new}.",
    ),
    "processes that encode": (
        "prepare",
        lambda process, new: any(new.rglob("*.mp4.*.part")),
        "the same command goes on with what is in {new}.",
    ),
    "processes that begin": (
        "prepare",
        lambda process, new: children(process) == 2,
        "the same command goes on with what is in {new}.",
    ),
    "videos that are written": (
        "demo",
        lambda process, new: any(new.rglob("*.mp4.*.part")),
        "the same command starts anew what is in {new}.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", MOMENTS)
def test_in_the_middle(moment: str, number: int, places: dict[str, Path], tmp_path: Path) -> None:
    name, when, sentence = MOMENTS[moment]
    new = tmp_path / "new"
    line = COMMANDS[name].format(new=new, **places)
    status, said, seconds = interrupted(
        ["-m", "flash", *shlex.split(line)], lambda process: when(process, new), number
    )
    assert status == 128 + number
    word = "Interrupted" if number == signal.SIGINT else "Terminated"
    *others, last = said.splitlines()
    assert last == f"{word}: {sentence.format(new=new)}"
    of_training = (
        "12 files in 2 classes",
        "x3d_xs on ",
        "8 videos to train on",
        "about ",
        "epoch ",
    )
    assert all(line.startswith(of_training) for line in others), said
    assert seconds < PATIENCE_SEC
    assert not list(new.rglob("*.part"))


@pytest.mark.slow
def test_a_server(places: dict[str, Path]) -> None:
    line = COMMANDS["serve"].format(**places)

    def listens(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and "http://" in process.stderr.readline()

    status, said, seconds = interrupted(["-m", "flash", *shlex.split(line)], listens)
    assert (status, said) == (
        130,
        "Interrupted: the server has ended; the same command starts it again.\n",
    )
    assert seconds < PATIENCE_SEC


# -- what does not end by itself --------------------------------------------------------------------------------

_PROGRAM = """
import hashlib, sys, time
from flash.cli import interrupts as _interrupts
from flash.cli.interrupts import run
from pytorchvideo._files import whole_file

_interrupts.GRACE_SEC = GRACE

def main():
    with whole_file(sys.argv[1]) as part:
        part.write_text("half")
        try:
            BUSY
        finally:
            time.sleep(60)

run(main)
"""
#: Of C, which hears of no signal; it waits without Python's lock.
_DEAF = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"


@pytest.mark.parametrize(
    ("busy", "times"), [("time.sleep(60)", 1), ("time.sleep(60)", 2), (_DEAF, 1)]
)
def test_what_goes_on_is_ended(busy: str, times: int, tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    # a second one does not wait, however long the first one may
    program = _PROGRAM.replace("BUSY", busy).replace("GRACE\n", "30\n" if times == 2 else "1.2\n")
    status, said, seconds = interrupted(
        ["-c", program, str(file)],
        lambda process: len(os.listdir(tmp_path)) == 2,
        times=times,
    )
    assert (status, said) == (130, f"{NOTHING}\n")
    assert seconds < PATIENCE_SEC
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupt_that_python_drops() -> None:
    program = """
import sys, time
from flash.cli.interrupts import run

class Slow:
    def __del__(self):
        print("here", file=sys.stderr, flush=True)
        time.sleep(60)

def main():
    Slow()
    time.sleep(60)

run(main)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and process.stderr.readline() == "here\n"

    assert interrupted(["-W", "ignore", "-c", program], waits)[:2] == (130, f"{NOTHING}\n")


def test_a_forked_process_leaves_it_to_its_parent() -> None:
    program = """
import os, sys, time
from flash.cli.interrupts import run

def main():
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
    print("here", file=sys.stderr, flush=True)
    time.sleep(60)

run(main)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and process.stderr.readline() == "here\n"

    assert interrupted(["-W", "ignore", "-c", program], waits)[:2] == (130, f"{NOTHING}\n")


def test_semaphores_are_freed_where_the_main_thread_is_not_heard() -> None:
    program = """
import multiprocessing, sys, time
from flash.cli.interrupts import run

def main():
    locks = multiprocessing.get_context("spawn").Queue()
    print("here", file=sys.stderr, flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(60)

run(main)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and process.stderr.readline() == "here\n"

    # Python's tracker of them writes to the same stderr, which ends with the tracker
    assert interrupted(["-c", program], waits)[:2] == (130, f"{NOTHING}\n")


def test_workers_that_end_do_not_take_the_word() -> None:
    """PyTorch raises an error in the main thread when a worker of a loader is killed, as those are here."""
    program = """
import multiprocessing, signal, sys, time
from flash.cli.interrupts import run

def fail(*_):
    raise RuntimeError("DataLoader worker is killed by signal: Terminated.")

def main():
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)).start()
    signal.signal(signal.SIGCHLD, fail)
    print("here", file=sys.stderr, flush=True)
    time.sleep(60)

run(main)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and process.stderr.readline() == "here\n"

    assert interrupted(["-W", "ignore", "-c", program], waits)[:2] == (130, f"{NOTHING}\n")


def test_workers_that_got_the_signal_too_are_no_news() -> None:
    """Where a worker dies of SIGTERM first, what its loader says of that is on its way up when the command ends."""
    program = """
import sys, time
import typer
from flash.cli.interrupts import run
from flash.cli.main import Commands

app = typer.Typer(cls=Commands)

@app.command()
def read():
    print("here", file=sys.stderr, flush=True)
    try:
        time.sleep(60)
    finally:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")

@app.callback()
def _options():
    pass

run(app)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        return process.stderr is not None and process.stderr.readline() == "here\n"

    status, said, _ = interrupted(["-c", program, "read"], waits, signal.SIGTERM)
    assert (status, said) == (143, f"{NOTHING.replace('Interrupted', 'Terminated')}\n")


def test_a_worker_that_hands_a_tensor_over_says_nothing() -> None:
    program = """
import multiprocessing, socket, sys, time
from multiprocessing import resource_sharer
from flash.cli.interrupts import run

def share(line):
    line.send(resource_sharer.DupFd(0)._id[0])
    time.sleep(60)

def main():
    here, there = multiprocessing.Pipe()
    multiprocessing.get_context("fork").Process(target=share, args=(there,), daemon=True).start()
    with socket.socket(socket.AF_UNIX) as taker:
        taker.connect(here.recv())
    time.sleep(0.5)
    print("here", file=sys.stderr, flush=True)
    time.sleep(60)

run(main)
"""

    def waits(process: subprocess.Popen[str]) -> bool:
        assert process.stderr is not None
        assert process.stderr.readline() == "here\n"
        return True

    assert interrupted(["-W", "ignore", "-c", program], waits)[:2] == (130, f"{NOTHING}\n")
