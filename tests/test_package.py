# SPDX-License-Identifier: Apache-2.0
"""The package as a whole: it imports cheaply, and imports go one way."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent

# package -> packages of this repository that it must never import
FORBIDDEN = {
    "pytorchvideo/data/_decode": (
        "flash",
        "pytorchvideo.models",
        "pytorchvideo.layers",
        "pytorchvideo.transforms",
    ),
    "pytorchvideo/data": ("flash", "pytorchvideo.models", "pytorchvideo.layers"),
    "pytorchvideo/transforms": (
        "flash",
        "pytorchvideo.data",
        "pytorchvideo.models",
        "pytorchvideo.layers",
    ),
    "pytorchvideo/layers": (
        "flash",
        "pytorchvideo.accelerator",
        "pytorchvideo.data",
        "pytorchvideo.models",
        "pytorchvideo.transforms",
    ),
    "pytorchvideo/losses": ("flash", "pytorchvideo.data", "pytorchvideo.models"),
    "pytorchvideo/models": ("flash", "pytorchvideo.accelerator", "pytorchvideo.data"),
    "pytorchvideo": ("flash",),
}


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
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_go_one_way(package: str) -> None:
    files = sorted((REPO / package).rglob("*.py"))
    assert files, f"no python file under {package}"
    for path in files:
        for module in imported_modules(path):
            for other in FORBIDDEN[package]:
                assert module != other and not module.startswith(other + "."), (
                    f"{path.relative_to(REPO)} imports {module}"
                )


def test_models_do_not_import_their_hub() -> None:
    for path in sorted((REPO / "pytorchvideo/models").glob("*.py")):
        assert not any(m.startswith("pytorchvideo.models.hub") for m in imported_modules(path)), (
            path
        )


@pytest.mark.parametrize("package", ["pytorchvideo", "flash"])
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
