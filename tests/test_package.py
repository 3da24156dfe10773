# SPDX-License-Identifier: Apache-2.0
"""The package as a whole: it imports cheaply, and imports go one way."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent

# package -> the packages of this repository that it may import; the most exact name of a file counts
MAY_IMPORT = {
    "pytorchvideo": (),
    "pytorchvideo.transforms": ("pytorchvideo",),
    "pytorchvideo.losses": ("pytorchvideo", "pytorchvideo.transforms"),
    "pytorchvideo.layers": ("pytorchvideo",),
    "pytorchvideo.data._decode": ("pytorchvideo",),
    "pytorchvideo.data": ("pytorchvideo", "pytorchvideo.data._decode", "pytorchvideo.transforms"),
    "pytorchvideo.models": (
        "pytorchvideo",
        "pytorchvideo.layers",
        "pytorchvideo.losses",
        "pytorchvideo.transforms",
    ),
    "pytorchvideo.models.hub": ("pytorchvideo", "pytorchvideo.models"),
    "pytorchvideo.accelerator": (
        "pytorchvideo",
        "pytorchvideo.layers",
        "pytorchvideo.models",
        "pytorchvideo.transforms",
    ),
}
BELOW_INFERENCE = (*MAY_IMPORT,)
MAY_IMPORT["pytorchvideo.inference"] = BELOW_INFERENCE
MAY_IMPORT["pytorchvideo.evaluation"] = (*BELOW_INFERENCE, "pytorchvideo.inference")
LIBRARY = (*MAY_IMPORT,)
MAY_IMPORT |= {
    "flash": LIBRARY,
    "flash.core": (*LIBRARY, "flash"),
    "flash.data": ("flash.core",),
    "flash.configs": (*LIBRARY, "flash", "flash.core"),
    "flash.video": (*LIBRARY, "flash", "flash.core"),
    "flash.video.sources": (*LIBRARY, "flash", "flash.core"),
    "flash.video.classification": (*LIBRARY, "flash", "flash.core", "flash.video.sources"),
    "flash.video.detection": (
        *(*LIBRARY, "flash", "flash.core"),
        *("flash.video.sources", "flash.video.classification"),
    ),
    "flash.runs": (
        *(*LIBRARY, "flash", "flash.core", "flash.video", "flash.video.sources"),
        *("flash.video.classification", "flash.video.detection", "flash.configs"),
    ),
}
BELOW_COMMANDS = tuple(MAY_IMPORT)
MAY_IMPORT |= {"flash.serve": BELOW_COMMANDS, "flash.cli": (*BELOW_COMMANDS, "flash.serve")}
MAY_IMPORT["flash.__main__"] = ("flash.cli",)


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(REPO).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {
    module_of(path): path
    for root in ("pytorchvideo", "flash")
    for path in (REPO / root).rglob("*.py")
}


def is_module(name: str) -> bool:
    path = REPO.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def package_of(module: str) -> str:
    """The longest name of the table that a module lies below."""
    while module not in MAY_IMPORT:
        module = module.rpartition(".")[0]
    return module


def modules_imported(module: str) -> set[str]:
    """The modules of this repository that a module imports, names of packages as their ``__init__``."""
    return {name for name in imported_modules(MODULES[module]) if name in MODULES} - {module}


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    package = path.relative_to(REPO).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                found.add(whole if is_module(whole) else module)
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    members = [module for module in MODULES if package_of(module) == package]
    assert members
    wrong = [
        (module, name)
        for module in members
        for name in modules_imported(module)
        if package_of(name) not in (package, *MAY_IMPORT[package])
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions count, too; importing a name from a package is importing the module of that name."""
    graph = {module: modules_imported(module) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", ["pytorchvideo.inference", "pytorchvideo.evaluation"])
def test_names_of_a_package_are_there(package: str) -> None:
    found = importlib.import_module(package)
    assert list(found.__all__) == sorted(found.__all__)
    assert all(getattr(found, name).__module__.startswith(package) for name in found.__all__)
    assert set(found.__all__) <= set(dir(found))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        found.nothing  # noqa: B018


@pytest.mark.parametrize(
    "package", ["pytorchvideo", "flash", "pytorchvideo.inference", "pytorchvideo.evaluation"]
)
def test_import_is_cheap(package: str) -> None:
    code = f"import sys, {package}; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPO
    )
    assert answer.stdout.strip() == "False"


def test_pre_commit_has_the_versions_of_the_dev_extra() -> None:
    build = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    hooks = (REPO / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for tool in ("ruff", "mypy"):
        pinned = re.search(rf'"{tool}==([0-9.]+)"', build)
        assert pinned is not None
        assert re.search(rf"{tool}\S*\n\s+rev: v{re.escape(pinned[1])}\n", hooks), tool


def test_every_file_has_its_licence() -> None:
    for folder in ("pytorchvideo", "flash", "tests", "benchmarks", "examples"):
        for path in (REPO / folder).rglob("*.py"):
            first = path.read_text(encoding="utf-8").split("\n", 1)[0]
            assert first == "# SPDX-License-Identifier: Apache-2.0", path


def test_titles_of_modules_name_their_subject() -> None:
    """A title is a noun of the field, "Embeddings of clips", and no riddle, "What a model makes of clips"."""
    riddle = re.compile(r"(what|from|where|how|which|when|who|whose|why|whether|in what)\b", re.I)
    for module, path in MODULES.items():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        title = docstring.partition("\n")[0]
        assert title, f"{module} has no docstring"
        assert not riddle.match(title), f"{module}: {title}"


def test_only_one_folder_touches_pyav() -> None:
    for package in ("pytorchvideo", "flash"):
        for path in (REPO / package).rglob("*.py"):
            if "_pyav" not in path.parts:
                used = {module.split(".")[0] for module in imported_modules(path)}
                assert "av" not in used, path


def test_only_one_file_touches_torchcodec() -> None:
    for package in ("pytorchvideo", "flash"):
        for path in (REPO / package).rglob("*.py"):
            used = {module.split(".")[0] for module in imported_modules(path)}
            assert ("torchcodec" in used) == (path.name == "_torchcodec.py"), path


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("executorch", "_executorch.py"),
        ("nncf", "_nncf.py"),
        ("onnx", "_onnx.py"),
        ("onnxruntime", "_onnx.py"),
        ("openvino", "_openvino.py"),
        ("torchao", "_executorch.py"),
    ],
)
def test_only_one_file_touches_a_runtime(package: str, file: str) -> None:
    users = {
        path.name
        for path in (REPO / "pytorchvideo").rglob("*.py")
        if package in {module.split(".")[0] for module in imported_modules(path)}
    }
    assert users == {file}


def test_tests_mirror_the_tree() -> None:
    """A test module stands where the module stands that it tests, or is one of the whole package."""
    for path in (REPO / "tests").rglob("test_*.py"):
        relative = path.relative_to(REPO / "tests")
        if len(relative.parts) == 1 or relative.parts[0] == "acceptance":
            continue
        home = REPO / ("" if relative.parts[0] == "flash" else "pytorchvideo") / relative.parent
        assert home.is_dir(), path
