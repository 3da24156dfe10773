# SPDX-License-Identifier: Apache-2.0
"""Recipes: programs and commands run on miniatures; tables name what there is; the Dockerfile fits the package."""

import ast
import inspect
import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import typer
from typer.testing import CliRunner

import flash
import pytorchvideo.models
from flash.cli.main import app
from flash.configs.files import load_recipe
from flash.runs.config import RunConfig
from flash.runs.share import trained_model
from flash.runs.sources import read_sources
from flash.serve.guard import HEALTH
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.inference import VideoPredictor
from pytorchvideo.models import create_model, get_weights, list_models
from pytorchvideo.models.pyslowfast import read_pyslowfast
from pytorchvideo.transforms.clip_recipe import ClipRecipe

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
#: Entries by their titles.
ENTRIES = dict(
    zip(*[iter(re.split(r"^### (.*)\n", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True)
)
SMALL = ClipRecipe(num_frames=4, sampling_rate=2, side_size=32, crop_size=32)
TINY = shlex.split("--model x3d_xs --no-pretrained --frames 4 --crop 32 --clips 1 --batch-size 4")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GPUS = 'accelerator="gpu", devices=2, strategy="ddp", sync_batchnorm=True, '


def blocks(title: str, language: str) -> str:
    """The blocks of an entry in one language, one after the other."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", ENTRIES[title], flags=re.DOTALL))


def commands(title: str) -> list[list[str]]:
    """The command lines of an entry, in words."""
    lines = blocks(title, "bash").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def parsed(words: list[str]) -> Any:
    """``pytorchvideo ...`` as the command line reads it."""
    name, *arguments = words
    return COMMANDS[name].make_context(name, arguments)


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipes")
    rows = {"archery": "run", "juggling": '"run,jump"'}
    several = ["path,labels"]
    for label, labels in rows.items():
        for name in ("train/{}/a.mp4", "train/{}/b.mp4", "val/{}/c.mp4", "val/{}/d.mp4"):
            path = f"clips/{name.format(label)}"
            make_video(path, folder=root, num_frames=20, fps=10)
            several.append(f"{path},{labels}")
    paths = [p.relative_to(root).as_posix() for p in sorted((root / "clips").rglob("*.mp4"))]
    table = ["path,weather,label", *(f"{p},fair,{p.split('/')[2]}" for p in paths)]
    (root / "table.csv").write_text("\n".join(table))
    (root / "multi.csv").write_text("\n".join(several))
    (root / "videos.csv").write_text(blocks("A csv of your own", "text").replace(".webm", ".mp4"))
    with open(root / "videos.csv", "a") as lines:
        lines.write("clips/train/juggling/b.mp4,juggling,train\n")
    (root / "kinetics").mkdir()
    for number in range(2):
        source = root / paths[number]
        (root / f"kinetics/id{number}_000012_000022.mp4").write_bytes(source.read_bytes())
    (root / "kinetics/kinetics.csv").write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "ice skating,id0,12,22,train\nrunning,id1,12,22,train\nrunning,gone,0,10,train\n"
    )
    (root / "new.mp4").write_bytes((root / paths[0]).read_bytes())
    return root


@pytest.fixture
def small(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    shallow: Callable[[], AbstractContextManager[None]],
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """``small(title)`` runs the programs of an entry on small clips and networks, and returns their names."""
    monkeypatch.chdir(folder)
    for name in ("from_folders", "from_csv"):
        made = partial(getattr(VideoClassificationData, name), recipe=SMALL)
        monkeypatch.setattr(VideoClassificationData, name, made)
    make, weights_of = create_model, get_weights

    def create(name: str, **kwargs: Any) -> torch.nn.Module:
        return make(name, num_frames=8, crop_size=64, **kwargs)

    def get(name: str) -> Any:
        weights = weights_of(name)
        return replace(weights, recipe=replace(weights.recipe, side_size=64, crop_size=64))

    monkeypatch.setattr(pytorchvideo.models, "create_model", create)
    monkeypatch.setattr(pytorchvideo.models, "get_weights", get)

    def run(title: str) -> dict[str, Any]:
        program = blocks(title, "python").replace("224, 224", "64, 64")
        program = re.sub(r"max_epochs=\d+", "max_epochs=1", program)
        assert title != "Two GPUs" or GPUS in program
        program = program.replace(GPUS, "").replace(", num_workers=4", "")
        program = program.replace("pretrained=True", "pretrained=False")
        quiet = "accelerator='cpu', enable_progress_bar=False, enable_model_summary=False, "
        program = program.replace("Trainer(", f"Trainer({quiet}")
        if "recipe=" not in program:
            program = program.replace("VideoClassifier(", "VideoClassifier(recipe=SMALL, ")
        names: dict[str, Any] = {"SMALL": SMALL, "__name__": "__main__"}
        exec(compile(program, title, "exec"), names)
        return names

    with shallow():
        yield run


def test_every_entry_is_tested() -> None:
    assert list(ENTRIES) == [
        *("A csv of your own", "Kinetics csv", "Several labels a video", "Rare classes"),
        *("Resume", "Two GPUs", "bf16", "Loggers", "A network of your own", "A notebook"),
        *("30 views", "Features and their maps", "Docker"),
        *("Ultralytics", "Hugging Face Trainer", "PySlowFast", "fastai", "timm"),
    ]


def test_tables_of_ones_own(small: Callable[[str], dict[str, Any]]) -> None:
    data = small("A csv of your own")["data"]
    assert data.labels == ["archery", "juggling"]
    assert len(data.train_dataset.reader.videos) == 6
    # where a video was deleted since
    with pytest.warns(UserWarning, match="1 of the 3 clips"):
        assert small("Kinetics csv")["dataset"].num_videos == 2


def test_several_labels(
    folder: Path, small: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    names = small("Several labels a video")
    assert names["data"].labels == names["model"].labels == ["jump", "run"]
    train, predict = commands("Several labels a video")
    found = read_sources(train[2], multi_label="--multi-label" in train)
    assert found.counts(found.train + found.val) == {"run": 8, "jump": 4}
    names["model"].save(tmp_path / "multi.pt")
    done = CliRunner().invoke(app, [*predict[1:3], "--model", str(tmp_path / "multi.pt"), "--json"])
    answer = json.loads(done.stdout)[0]["labels"]
    assert {row["label"] for row in answer} == {"jump", "run"}
    # a sigmoid each: an untrained network is undecided about every label
    assert all(0 < row["score"] < 1 for row in answer)


def test_rare_classes(folder: Path, small: Callable[[str], dict[str, Any]]) -> None:
    rare = folder / "clips/train/juggling/b.mp4"
    kept = rare.read_bytes()
    rare.unlink()
    try:
        names = small("Rare classes")
        torch.testing.assert_close(names["loss"].weight, torch.tensor([3 / 4, 3 / 2]))
        assert names["draws"].args[0] == [0.75, 0.75, 1.5]
        assert next(iter(names["balanced"].train_dataloader()))["video"].shape[1] == 3
    finally:
        rare.write_bytes(kept)


def test_ones_own_network(small: Callable[[str], dict[str, Any]]) -> None:
    names = small("A network of your own")
    clips = torch.rand(1, 3, 4, 32, 32)
    with torch.inference_mode():
        frames = names["network"].eval().image_model(clips[0].transpose(0, 1)).mean(dim=0)
        torch.testing.assert_close(names["again"].eval()(clips)[0], frames)


def test_a_notebook(small: Callable[[str], dict[str, Any]]) -> None:
    assert not small("A notebook")["rows"].filter(like="accuracy").empty


def test_the_program_for_two_gpus(folder: Path, small: Callable[[str], dict[str, Any]]) -> None:
    program = ast.parse(blocks("Two GPUs", "python"))
    calls = [node for node in ast.walk(program) if isinstance(node, ast.Call)]
    (trainer,) = (call for call in calls if ast.unparse(call.func) == "flash.Trainer")
    given = {str(word.arg): ast.literal_eval(word.value) for word in trainer.keywords}
    inspect.signature(pl.Trainer).bind(**given)
    small("Two GPUs")  # as one process on a CPU
    assert VideoPredictor.from_file(folder / "model.pt").labels == ["archery", "juggling"]


def test_official_views_and_maps(
    small: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    small("30 views")
    assert capsys.readouterr().out.startswith("clips/val/archery/c.mp4 ")
    names = small("Features and their maps")
    assert names["vectors"].shape == (2, 2048)
    assert names["maps"]["res4"].shape == (2, 1024, 8, 4, 4)
    with torch.inference_mode():
        scores = names["network"](names["clips"])
    mean = names["seen"].mean(dim=(2, 3, 4))
    torch.testing.assert_close(mean.softmax(1), scores.softmax(1), rtol=1e-3, atol=1e-4)


def test_command_lines_of_the_page_are_understood(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    lines = [words for title in ENTRIES for words in commands(title)]
    cells = re.findall(r"`(pytorchvideo [^`]*)`", PAGE)
    ours = [*lines, *(shlex.split(cell) for cell in cells if "..." not in cell)]
    # the others need two GPUs, TensorBoard or Docker
    others = {words[0] for words in lines} - {"pytorchvideo"}
    assert others == {"python", "torchrun", "tensorboard", "docker"}
    for words in ours:
        if words[0] != "pytorchvideo":
            continue
        context = parsed(words[1:])
        if words[1] == "train" and not context.params["resume"]:
            check_run(context)


def check_run(context: Any) -> None:
    """Raises where the options of a run do not go together."""
    given = {n: v for n, v in context.params.items() if n in RunConfig.__dataclass_fields__}
    plain = {n: v.value if isinstance(v, Enum) else v for n, v in given.items()}
    if plain["lr"] == "find":
        plain |= {"lr": None, "lr_find": True}
    RunConfig(**plain | {"pretrained": bool(plain["pretrained"])}).completed()


def test_commands_on_a_csv_and_its_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    def run(words: list[str], *more: str) -> str:
        done = CliRunner().invoke(app, [*words[1:], *more])
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.output

    check, train = commands("A csv of your own")
    assert "3 videos" in run(check)
    run(train, *TINY, "--epochs", "1", "--logger", "csv", "--precise-bn", "0")
    logged = commands("Loggers")[0]
    where = re.search(r"# run-logged/(\S+)", blocks("Loggers", "bash"))
    assert "csv" in logged and where is not None
    assert (folder / "run-csv" / where[1]).is_file()
    beyond = commands("Resume")[-1]
    run([word.replace("run-long", "run-csv").replace("40", "2") for word in beyond])
    history = json.loads((folder / "run-csv/history.json").read_text())
    assert len(history) == 2
    for words in commands("30 views"):
        run(["run-csv" if word == "run" else word for word in words])


def options_of(command: str) -> dict[str, Any]:
    return {name: p for p in COMMANDS[command].params for name in (*p.opts, *p.secondary_opts)}


def cells() -> Iterator[str]:
    """What is typed here, by the tables."""
    for right in re.findall(r"^\| .* \| (.*) \|$", PAGE, flags=re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", right)


def test_options_in_the_tables_are_those_of_train() -> None:
    known = options_of("train")
    found = [cell for cell in cells() if cell.startswith("--")]
    assert len(found) > 40
    for cell in found:
        name, *value = cell.split()
        assert name in known, cell
        if value:
            parsed(["train", "clips", name, *value])


def test_programs_in_the_tables_name_what_there_is() -> None:
    names: dict[str, Any] = {**vars(pytorchvideo.models), "VideoClassifier": VideoClassifier}
    names |= {"create_model": create_model, "get_weights": get_weights, "list_models": list_models}
    names |= {"VideoClassificationData": VideoClassificationData, "VideoPredictor": VideoPredictor}
    names |= {"read_pyslowfast": read_pyslowfast, "load_recipe": load_recipe}
    names |= {"trained_model": trained_model, "trainer": flash.Trainer, "model": VideoClassifier}
    names |= {"data": VideoClassificationData, "network": pytorchvideo.models.Net}
    codes = [cell for cell in cells() if re.match(r"[\w.]+\(|network\.", cell)]
    assert len(codes) > 15
    for code in codes:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call):
                check_call(node, names)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert hasattr(names[node.value.id], node.attr) or node.attr == "labels", code


def check_call(node: ast.Call, names: dict[str, Any]) -> None:
    """Binds the arguments of a call to the signature of what it names, where that is known."""
    of_result = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
    if of_result:  # of what a class method or a function returns
        return
    called = eval(ast.unparse(node.func), names)
    bound = [None] * len(node.args)
    if isinstance(node.func, ast.Attribute) and not inspect.ismethod(called):
        bound.append(None)  # self
    given = {str(keyword.arg): None for keyword in node.keywords}
    inspect.signature(called).bind(*bound, **given)


def test_the_dockerfile_fits_the_package() -> None:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    known = {
        *("FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER"),
        *("EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
    assert {step for step, _ in steps} <= known
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runs = [rest for step, rest in steps if step == "RUN"]
    for requirement in re.findall(r'"((?:torch|torchvision)>=[^"]*)"', runs[0]):
        assert requirement in project["dependencies"]
    assert '".[serve]"' in runs[1] and "serve" in project["optional-dependencies"]
    copied = [rest.split()[:-1] for step, rest in steps if step == "COPY"]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line[1:] for line in sent if line[0] == "!") == sorted(
        path for paths in copied for path in paths
    )
    # what the build of the package reads
    assert {"pyproject.toml", project["readme"], *project["license-files"], "flash"} <= {
        path for paths in copied for path in paths
    }
    order = [step for step, _ in steps]
    last = dict(steps)
    assert last["USER"] not in ("root", "0") and f" {last['USER']}" in runs[2]
    assert order.index("USER") < order.index("CMD")
    words = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    assert words[0] in project.get("scripts", {})
    assert parsed(words[1:]).params["port"] == int(last["EXPOSE"])
    watch = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    compile(watch[-1], "HEALTHCHECK", "exec")
    assert f":{last['EXPOSE']}{HEALTH}'" in watch[-1]


def test_what_containers_are_told_is_understood() -> None:
    build, *runs = commands("Docker")
    assert build[:2] == ["docker", "build"]
    for words in runs:
        (image,) = (i for i, word in enumerate(words) if word == "pytorchvideo")
        if rest := words[image + 1 :]:
            params = parsed(rest).params
            assert params["host"] == "0.0.0.0" and params["allow_host"]
    assert "--build-arg TORCH_INDEX=" in PAGE
    assert "ARG TORCH_INDEX=" in (ROOT / "Dockerfile").read_text()
