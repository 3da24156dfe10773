# SPDX-License-Identifier: Apache-2.0
"""Installs the package into fresh environments, the oldest and the newest of everything, and tries it there.

    python tests/matrix.py         the oldest Python with every lower bound exactly, the newest with the newest releases
    python tests/matrix.py full    besides: every Python between, the demo, the slow tests, and each extra
    python tests/matrix.py full --python 3.13 --extra hf    of these, one Python and one extra

The package is built once and installed from its wheel; the tests run on a copy, so that what they import is the
installed package. Needed are a package index and, for each environment, 8 GB in the folder for temporary files, since
PyTorch comes with CUDA. Pythons that are not found are named and left out. Everything ends after ``--minutes``.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import Parser
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

REPO = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
TEST_TOOLS = ("pytest>=8", "hypothesis>=6.100")

# The tests that try an extra, and for one that nothing uses yet the module that is imported.
EXTRAS: dict[str, list[str]] = {
    "torchcodec": ["data/_decode", "data/test_reading_options.py"],
    "hf": [
        "models/test_huggingface.py",
        "models/test_zero_shot.py",
        "data/test_huggingface.py",
        "flash/video/test_hugging_face.py",
        "flash/runs/test_share.py",
        "inference/test_loading.py",
    ],
    "kornia": ["transforms/test_pipeline.py", "flash/core/data/io/test_input_transform.py"],
    "serve": ["flash/serve"],
    "deploy": ["accelerator/deployment"],
    "docs": [],
    "scale": [],
}
IMPORTS = {"docs": "sphinx, myst_parser", "scale": "ray.data"}


Command = Sequence[str | Path]


class Failed(Exception):
    """A step that did not end well; its output is in the log."""


@dataclass(frozen=True)
class Pair:
    """A Python and which releases of the dependencies it gets.

    Args:
        version: of the Python, as ``3.10``.
        python: its interpreter.
        lowest: whether every lower bound is installed exactly, or the newest releases.
    """

    version: str
    python: str
    lowest: bool

    @property
    def name(self) -> str:
        """What the lines of this pair begin with."""
        return f"{self.version}-{'lowest' if self.lowest else 'newest'}"


def find_pythons() -> dict[str, str]:
    """Returns version -> interpreter of the Pythons on the PATH and in pyenv's folder, the oldest first."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        candidates = [shutil.which(f"python{version}")]
        candidates += sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)
        if version == ".".join(map(str, sys.version_info[:2])):
            candidates.append(sys.executable)
        for python in filter(None, candidates):
            if _answers(python, version):
                found[version] = python
                break
    return found


def _answers(python: str, version: str) -> bool:
    # pyenv puts names of all its Pythons on the PATH; only those that are switched on work
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def choose_pairs(pythons: dict[str, str], full: bool) -> list[Pair]:
    """Returns the oldest with the lowest bounds and the newest with the newest; all with the newest when ``full``."""
    versions = list(pythons)
    oldest, newest = versions[0], versions[-1]
    pairs = [Pair(oldest, pythons[oldest], True)]
    return pairs + [Pair(v, pythons[v], False) for v in (versions if full else [newest])]


def lowest_pins(requirements: Iterable[str], version: str, extra: str = "") -> list[str]:
    """Returns ``name==bound`` for each requirement that holds for a Python and comes with an extra ("": with none).

    Raises:
        ValueError: if a requirement has no lower bound.

    >>> requirements = ["av>=17.1", "b[x]!=1.3,>=1.2; extra == 'e'"]
    >>> lowest_pins(requirements, "3.10"), lowest_pins(requirements, "3.10", "e")
    (['av==17.1'], ['b[x]==1.2'])
    """
    pins = []
    for text in requirements:
        requirement = Requirement(text)
        environment = {"python_version": version, "python_full_version": f"{version}.0"}
        marker = requirement.marker
        holds = marker is None or marker.evaluate({**environment, "extra": extra})
        always = marker is None or marker.evaluate({**environment, "extra": ""})
        if not holds or (extra and always) or requirement.name == "pytorchvideo":
            continue
        bounds = [s.version for s in requirement.specifier if s.operator in (">=", "==")]
        if len(bounds) != 1:
            raise ValueError(
                f"Expected one lower bound in {text!r} of pyproject.toml, but got {len(bounds)}."
            )
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        pins.append(f"{requirement.name}{extras}=={bounds[0]}")
    return pins


def requirements_of(wheel: Path) -> list[str]:
    """Returns the requirements that a wheel states."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []


def left_out_of(wheel: Path, source: Path = REPO) -> list[str]:
    """Returns the files of the two packages that a wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = [p for package in ("pytorchvideo", "flash") for p in (source / package).rglob("*")]
    wanted = {str(p.relative_to(source).as_posix()) for p in files if p.is_file()}
    return sorted(name for name in wanted - packed if "__pycache__" not in name)


class Matrix:
    """The environments of one run.

    Args:
        folder: where they are made.
        minutes: when everything has ended.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder
        self.ends = time.monotonic() + 60 * minutes
        self.wheel = Path()
        self.requirements: list[str] = []
        kept = os.environ.items()
        self.environment = {k: v for k, v in kept if not re.match("PYTHON|VIRTUAL_ENV|COVERAGE", k)}
        self.environment |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "COLUMNS": "120"}

    def build(self) -> None:
        """Builds the wheel from a copy of the tree, and copies the tests to where no source is."""
        source = self.folder / "source"
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("pytorchvideo", "flash"):
            shutil.copytree(REPO / name, source / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPO / name, source / name)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w"]
        command = [*pip, str(self.folder), str(source)]
        self.step("the wheel", "build", command, self.folder / "build.log")
        (self.wheel,) = self.folder.glob("*.whl")
        if missing := left_out_of(self.wheel, source):
            raise Failed(f"the wheel lacks {', '.join(missing)}")
        self.requirements = requirements_of(self.wheel)
        shutil.rmtree(source)
        shutil.copytree(REPO / "tests", self.folder / "copy" / "tests", ignore=ignored)
        shutil.copy(REPO / "pyproject.toml", self.folder / "copy")
        if (REPO.parent / "shared").is_dir():
            (self.folder / "shared").symlink_to(REPO.parent / "shared")

    def try_pair(self, pair: Pair, full: bool, extras: Iterable[str] = ()) -> list[str]:
        """Installs, tries and removes one environment, and one for each extra; returns what failed."""
        home, log = self.folder / pair.name, self.folder / f"{pair.name}.log"
        failed = []
        try:
            python = self.fresh(pair, home, log)
            pins = lowest_pins(self.requirements, pair.version) if pair.lowest else []
            self.install(pair.name, python, [str(self.wheel), *pins, *TEST_TOOLS], log)
        except Failed as failure:
            return [str(failure)]
        smoke: Command = [python, "-I", REPO / "tests" / "smoke.py", *(["--demo"] if full else [])]
        steps = {"smoke": smoke, "tests of reading": self.pytest(python, ["data"], full)}
        for what, command in steps.items():
            try:
                self.step(pair.name, what, command, log)
            except Failed as failure:
                failed.append(str(failure))
        for extra in extras:
            failed += self.try_extra(pair, extra, home)
        shutil.rmtree(home, ignore_errors=True)
        return failed

    def try_extra(self, pair: Pair, extra: str, base: Path) -> list[str]:
        """Tries one extra in an environment laid over the one of the pair, which is left as it is."""
        name = f"{pair.name}-{extra}"
        home, log = self.folder / name, self.folder / f"{name}.log"
        try:
            python = self.fresh(pair, home, log)
            (packages,) = home.glob("lib/python*/site-packages")
            (below,) = base.glob("lib/python*/site-packages")
            (packages / "base.pth").write_text(f"{below}\n")
            wanted = [f"pytorchvideo[{extra}] @ {self.wheel.as_uri()}"]
            if pair.lowest:
                pins = lowest_pins(self.requirements, pair.version, extra)
                core = lowest_pins(self.requirements, pair.version)
                wanted += [*pins, *(pin for pin in core if pin.startswith("torch"))]
            self.install(name, python, wanted, log)
            if extra in IMPORTS:
                self.step(name, "import", [python, "-c", f"import {IMPORTS[extra]}"], log)
            if EXTRAS[extra]:
                self.step(name, "tests", self.pytest(python, EXTRAS[extra], full=False), log)
        except Failed as failure:
            return [str(failure)]
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return []

    def fresh(self, pair: Pair, home: Path, log: Path) -> Path:
        """Returns the interpreter of a new environment with a current pip."""
        self.step(pair.name, "environment", [pair.python, "-m", "venv", home], log)
        python = home / "bin" / "python"
        self.step(pair.name, "pip", [python, "-m", "pip", "install", "-q", "-U", "pip"], log)
        return python

    def install(self, name: str, python: Path, wanted: Sequence[str], log: Path) -> None:
        """Installs ``wanted``; nothing is compiled before it is imported, which of 5 GB little is."""
        self.step(name, "install", [python, "-m", "pip", "install", "--no-compile", *wanted], log)
        self.step(name, "pip check", [python, "-m", "pip", "check"], log)

    def pytest(self, python: Path, paths: Sequence[str], full: bool) -> Command:
        """Returns the command that runs tests of the copy."""
        chosen = [] if full else ["-m", "not slow"]
        paths = [f"tests/{path}" for path in paths]
        return [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--durations=5",
            *chosen,
            *paths,
        ]

    def step(self, name: str, what: str, command: Command, log: Path) -> None:
        """Runs a command whose output goes to the log, and says how long it took.

        Raises:
            Failed: if it fails, or when the time is over.
        """
        began, left = time.monotonic(), self.ends - time.monotonic()
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=self.folder / "copy" if (self.folder / "copy").exists() else self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(max(1.0, left))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
        said = log.read_bytes()[offset:].decode(errors="replace").strip()
        seconds = f"{time.monotonic() - began:.0f} s"
        if status != 0:
            print(said[-12000:], flush=True)
            reason = "the time is over" if status is None else f"status {status}"
            print(f"[{name}] {what}: FAILED, {reason}, after {seconds}", flush=True)
            raise Failed(f"{name}: {what}: {reason}")
        last = f" ({said.splitlines()[-1].strip('= ')})" if "test" in what and said else ""
        print(f"[{name}] {what}: ok, {seconds}{last}", flush=True)


def main() -> None:
    """Entry point of the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("form", nargs="?", choices=("short", "full"), default="short")
    parser.add_argument("--python", choices=PYTHONS, help="try this one alone")
    parser.add_argument("--extra", choices=EXTRAS, action="append", help="full: try these alone")
    parser.add_argument("--minutes", type=float, help="when it ends at the latest (40; full: 240)")
    arguments = parser.parse_args()
    full = arguments.form == "full"
    pythons = find_pythons()
    for version in PYTHONS:
        print(f"Python {version}: {pythons.get(version, 'not found, left out')}")
    pairs = choose_pairs(pythons, full)
    pairs = [pair for pair in pairs if arguments.python in (None, pair.version)]
    if not pairs:
        parser.error(f"Python {arguments.python} is not found, or is for the full form.")
    extras = (arguments.extra or list(EXTRAS)) if full else []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        matrix = Matrix(Path(folder), arguments.minutes or (240 if full else 40))
        try:
            matrix.build()
        except Failed as failure:
            sys.exit(str(failure))
        # two at a time: an installation is one thread of unpacking
        with ThreadPoolExecutor(2) as pool:
            failed = list(pool.map(lambda pair: matrix.try_pair(pair, full, extras), pairs))
    for reason in chain.from_iterable(failed):
        print(f"FAILED {reason}")
    bad = sum(map(bool, failed))
    spent = os.times()
    processors = spent.children_user + spent.children_system
    print(
        f"{len(pairs)} environments in {time.monotonic() - began:.0f} s, {processors:.0f} s of processors"
    )
    print(f"{len(pairs) - bad} passed, {bad} failed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
