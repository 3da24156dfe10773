# SPDX-License-Identifier: Apache-2.0
"""Saved models come back as they were, from folders and from a Hub on this machine that speaks as the real one does."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from markdown_it import MarkdownIt
from safetensors.torch import load_file

from pytorchvideo.models import (
    ClipRecipe,
    PretrainedModel,
    create_model,
    get_weights,
    list_models,
    model_entry,
)

RECIPE = ClipRecipe(num_frames=4, sampling_rate=2, side_size=64, crop_size=64)
KWARGS = {"num_frames": 4, "crop_size": 64}
LABELS = ("jump", "run", "sit")


def small(**changes: Any) -> PretrainedModel:
    model = create_model("x3d_xs", num_classes=3, **KWARGS)
    values: dict[str, Any] = {
        "model_kwargs": KWARGS,
        "labels": LABELS,
        "metrics": {"top1": 91.25},
        "protocol": "40 held-out videos, 4 clips a video",
    }
    return PretrainedModel(model, "x3d_xs", RECIPE, **(values | changes))


def test_a_folder_holds_everything(tmp_path: Path) -> None:
    saved = small()
    folder = saved.save_pretrained(tmp_path / "a/b")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
    loaded = PretrainedModel.from_pretrained(folder)
    for name in ("name", "model_kwargs", "labels", "recipe", "metrics", "protocol", "licence"):
        assert getattr(loaded, name) == getattr(saved, name), name
    clip = torch.rand(2, 3, 4, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.model.eval()(clip), saved.model.eval()(clip))


def test_a_file_holds_the_classifier(tmp_path: Path) -> None:
    saved = small(multi_label=True, threshold=0.2)
    saved.save(tmp_path / "model.pt")
    loaded = PretrainedModel.from_file(tmp_path / "model.pt")
    for name in ("name", "model_kwargs", "labels", "recipe", "multi_label", "threshold"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert (loaded.metrics, loaded.protocol) == ({}, "")
    clip = torch.rand(2, 3, 4, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.model.eval()(clip), saved.model.eval()(clip))
    small(labels=()).save(tmp_path / "model.pt")
    assert PretrainedModel.from_file(tmp_path / "model.pt").labels == ("0", "1", "2")


def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    content = {
        "format": "pytorchvideo.classifier",
        "version": 1,
        "model_name": "x3d_xs",
        "model_kwargs": KWARGS,
        "model_state": create_model("x3d_xs", num_classes=3, **KWARGS).state_dict(),
        "labels": list(LABELS),
        "recipe": {"num_frames": 4, "sampling_rate": 2, "side_size": 64, "crop_size": 64},
    }
    torch.save(content, tmp_path / "model.pt")
    loaded = PretrainedModel.from_file(tmp_path / "model.pt")
    assert (loaded.labels, loaded.multi_label, loaded.threshold) == (LABELS, False, 0.5)
    assert loaded.recipe == RECIPE


def test_clips_of_another_size(tmp_path: Path) -> None:
    saved = small()
    saved.save(tmp_path / "model.pt")
    saved.save_pretrained(tmp_path / "saved")
    size = {"num_frames": 8, "crop_size": 96}
    for loaded in (
        PretrainedModel.from_file(tmp_path / "model.pt", **size),
        PretrainedModel.from_pretrained(tmp_path / "saved", **size),
    ):
        assert (loaded.recipe.num_frames, loaded.recipe.crop_size) == (8, 96)
        assert loaded.model_kwargs == size
        assert loaded.model(torch.rand(1, 3, 8, 96, 96)).shape == (1, 3)
    fixed = create_model("mvit_base_16x4", num_classes=3, depth=1, **KWARGS)
    kwargs = {"depth": 1, **KWARGS}
    PretrainedModel(fixed, "mvit_base_16x4", RECIPE, kwargs).save(tmp_path / "model.pt")
    with pytest.raises(ValueError, match="its own size of clips only"):
        PretrainedModel.from_file(tmp_path / "model.pt", crop_size=96)


@pytest.mark.parametrize("name", list_models())
def test_every_model_can_be_saved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and shapes of all, on the meta device: there is nothing to write."""
    weights = get_weights(name)
    with torch.device("meta"):
        model = create_model(name)
    written: dict[str, Any] = {}
    monkeypatch.setattr(
        "pytorchvideo.models.pretrained.save_file",
        lambda state, file, metadata: (
            file.touch(),
            written.update({k: v.shape for k, v in state.items()}),
        ),
    )
    trained = PretrainedModel(
        model, name, weights.recipe, labels=weights.labels, licence=weights.licence
    )
    monkeypatch.setattr("pytorchvideo.models.pretrained.create_model", lambda *_, **__: model)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: tensor)
    trained.save_pretrained(tmp_path)
    assert written == {key: value.shape for key, value in model.state_dict().items()}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_classes"] == trained.num_classes
    assert ClipRecipe.from_dict(config["recipe"]) == weights.recipe
    card = (tmp_path / "README.md").read_text()
    assert ("```python" in card) == (model_entry(name).task == "video classification")


def test_shared_tensors_and_layouts_are_no_obstacle(tmp_path: Path) -> None:
    saved = small()
    model: Any = saved.model.to(memory_format=torch.channels_last_3d)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    norms[-1].weight = next(n for n in norms if n.weight.shape == norms[-1].weight.shape).weight
    saved.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in state.items())


def test_another_number_of_classes_keeps_the_trunk(tmp_path: Path) -> None:
    saved = small()
    saved.save_pretrained(tmp_path)
    loaded = PretrainedModel.from_pretrained(tmp_path, num_classes=7)
    assert (loaded.num_classes, loaded.labels, loaded.metrics) == (7, (), {})
    clip = torch.rand(1, 3, 4, 64, 64)
    with torch.inference_mode():
        mine, theirs = (m.model.eval().forward_features(clip) for m in (loaded, saved))
    assert torch.equal(mine, theirs)


def test_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = get_weights("x3d_xs")
    weights.file.parent.mkdir(parents=True)
    torch.save({"model_state": create_model("x3d_xs").state_dict()}, weights.file)
    trained = PretrainedModel.from_zoo("x3d_xs")
    assert trained.metrics == {"top1": 69.12, "top5": 88.63}
    card = trained.card("me/mine")
    assert "| top1 | 69.12 % |" in card
    assert weights.protocol in card
    assert "For comparison" not in card
    assert "and 340 more" in card


def test_published_weights_give_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        model = create_model("r2plus1d_r50")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "pytorchvideo.models.pretrained.create_model",
        lambda _, **kwargs: (asked.append(kwargs), model)[1],
    )
    trained = PretrainedModel.from_zoo("r2plus1d_r50")
    assert asked == [{"pretrained": True, "progress": True, "head_activation": None}]
    assert trained.model_kwargs == {"head_activation": None}


def test_the_card_says_what_is_known() -> None:
    card = small(multi_label=True).card("me/x3d")
    head = card.split("---")[1]
    assert (
        "library_name: pytorchvideo\npipeline_tag: video-classification\nlicense: apache-2.0"
        in head
    )
    for text in (
        "# x3d_xs for 3 classes",
        "`num_frames=4`, `crop_size=64`",
        "| duration | 0.267 s |",
        "| pictures | short side 64 pixels, a crop of 64 x 64 |",
        "| top1 | 91.25 % |\n\n40 held-out videos, 4 clips a video.",
        "the published weights of `x3d_xs` (PyTorchVideo model zoo): top1 69.12 %, top5 88.63 %",
        "jump, run, sit.",
        ".sigmoid()[0]",
    ):
        assert text in card
    none = small(metrics={}, protocol="", labels=())
    assert "None were given." in none.card("a")
    assert "Classes have numbers only." in none.card("a")


def test_names_are_no_markup_in_the_card() -> None:
    names = (
        "<img src=x onerror=alert(1)>",
        "[run](http://a.b) ![p](c.png) `x` **y** $z$ | q | &lt;",
        "+ a\n# heading\n\n---\n<script>",
    )
    metrics = {"<b>top1</b> | *x*": 50.0}
    evil = small(
        labels=names, metrics=metrics, protocol="1. <i>a</i>\n\n# b", licence="mit\ntags: [evil]"
    )
    front, body = evil.card('a"b').removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(front)["license"] == "mit\ntags: [evil]"
    assert yaml.safe_load(front)["tags"] == ["pytorchvideo", "x3d_xs"]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    plain = MarkdownIt("commonmark").enable("table").parse(small().card("a").split("\n---\n", 1)[1])
    assert [token.type for token in tokens] == [token.type for token in plain]
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} == {"text", "code_inline"}
    said = "".join(child.content for child in inline)
    assert f"{', '.join(' '.join(name.split()) for name in names)}." in said
    assert "<b>top1</b> | *x*" in said
    assert 'from_pretrained("a\\"b")' in body


def test_the_example_of_the_card_runs(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video("video.mp4", folder=tmp_path)
    small().save_pretrained("model")
    fast = create_model("slowfast_r50", num_classes=2, num_frames=8, crop_size=32, model_depth=18)
    recipe = ClipRecipe(8, 2, side_size=32, crop_size=32, pathway_ratio=(4, 1))
    kwargs = {"num_frames": 8, "crop_size": 32, "model_depth": 18}
    PretrainedModel(fast, "slowfast_r50", recipe, kwargs).save_pretrained("two_pathways")
    for folder, answers in (("model", LABELS), ("two_pathways", (0, 1))):
        card = Path(folder, "README.md").read_text()
        code = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
        printed: list[Any] = []
        exec(code[0], {"print": lambda *words: printed.extend(words)})  # noqa: B023 - run at once
        assert printed[0] in answers
        assert 0 < printed[1] <= 1


def test_errors_of_models() -> None:
    with pytest.raises(ValueError, match=r"`labels` to be 3 names.*but got '2 names'"):
        small(labels=("a", "b"))
    with pytest.raises(ValueError, match="no model named 'x3d'"):
        PretrainedModel(torch.nn.Identity(), "x3d", RECIPE)
    with pytest.raises(ValueError, match="the tensors of x3d_s built with"):
        PretrainedModel(create_model("x3d_xs", depth_factor=1.0), "x3d_s", RECIPE).save_pretrained(
            "a"
        )
    with pytest.raises(ValueError, match="`model_kwargs` to be made of numbers"):
        small(model_kwargs={"activation": torch.nn.ReLU}).save_pretrained("a")
    assert not Path("a").exists()


def test_errors_of_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json in .*it is no saved model"):
        PretrainedModel.from_pretrained(tmp_path)
    for content, message in (
        ("{", r"config\.json, line 1: not json"),
        ("[]", "expected the description of a model, an object, but got a list"),
        ("{}", "holds no model that PretrainedModel saved"),
        ('{"model_type": "videomae"}', r"\(videomae\): create_hugging_face loads it"),
        ('{"format": "pytorchvideo.pretrained", "version": 1}', "does not say labels, licence"),
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            PretrainedModel.from_pretrained(tmp_path)
    small().save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"version": 1', '"version": 9'))
    with pytest.raises(ValueError, match="written by a later version"):
        PretrainedModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"Cannot read weights from .*model\.safetensors"):
        PretrainedModel.from_pretrained(tmp_path)


# -- the Hub -----------------------------------------------------------------------------------------


class _Hub(ThreadingHTTPServer):
    """The part of the Hub's API that models need: make a repository, commit files, read them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files: dict[str, dict[str, bytes]] = {}


class _Answers(BaseHTTPRequestHandler):
    server: _Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, status: int, content: bytes = b"{}", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        files = self.server.files
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self._send(401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            files.setdefault(repo, {})
            return self._json({"url": f"{self._address()}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        repo = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return self._json(
                {
                    "files": [
                        {"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names
                    ]
                }
            )
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self._address()}/{repo}/commit/{'1' * 40}"
            return self._json({"commitOid": "1" * 40, "commitUrl": url})
        return self._send(404)

    def do_GET(self) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        repo, name = found.groups() if found else ("", "")
        if repo not in self.server.files:
            return self._send(404, X_Error_Code="RepoNotFound")
        content = self.server.files[repo].get(name)
        if content is None:
            return self._send(404, X_Error_Code="EntryNotFound", X_Repo_Commit="1" * 40)
        etag = hashlib.sha1(content).hexdigest()
        return self._send(200, content, ETag=f'"{etag}"', X_Repo_Commit="1" * 40)

    do_HEAD = do_GET

    def _address(self) -> str:
        return "http://{}:{}".format(*self.server.server_address[:2])


@pytest.fixture
def hub() -> Iterator[_Hub]:
    server = _Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


CODE = """
import json
import huggingface_hub
from pytorchvideo.models import PretrainedModel

def error_of(call):
    try:
        call()
    except OSError as error:
        return [type(error).__name__, str(error)]

def load():
    loaded = PretrainedModel.from_pretrained("me/x3d")
    return loaded.labels, sum(float(p.double().sum()) for p in loaded.model.state_dict().values())

saved = PretrainedModel.from_pretrained("folder")
found = {
    "url": saved.push_to_hub("me/x3d", private=True),
    "denied": error_of(lambda: saved.push_to_hub("me/x3d", token="hf_wrong")),
    "loaded": load(),
    "missing": error_of(lambda: PretrainedModel.from_pretrained("me/nothing")),
    "empty": error_of(lambda: PretrainedModel.from_pretrained("me/empty")),
    "path": error_of(lambda: PretrainedModel.from_pretrained("no/such/folder")),
}
huggingface_hub.constants.HF_HUB_OFFLINE = True  # as HF_HUB_OFFLINE=1 sets it at the start
found["offline"] = {
    "loaded": load(),
    "missing": error_of(lambda: PretrainedModel.from_pretrained("me/nothing")),
    "unsent": error_of(lambda: saved.push_to_hub("me/x3d")),
}
print(json.dumps(found))
"""


@pytest.mark.slow
def test_to_the_hub_and_back(hub: _Hub, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    saved = small()
    saved.save_pretrained(tmp_path / "folder")
    hub.files["me/empty"] = {}
    address = "http://{}:{}".format(*hub.server_address[:2])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    ours = {"HF_HOME": str(tmp_path / "cache"), "HF_TOKEN": "hf_right", "HF_ENDPOINT": address}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=inherited | ours,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["url"] == f"{address}/me/x3d"
    assert {"README.md", "config.json", "model.safetensors"} <= set(hub.files["me/x3d"])
    assert b'from_pretrained("me/x3d")' in hub.files["me/x3d"]["README.md"]
    total = sum(float(p.double().sum()) for p in saved.model.state_dict().values())
    for labels, loaded in (found["loaded"], found["offline"]["loaded"]):
        assert labels == list(LABELS)
        assert loaded == pytest.approx(total, abs=1e-6)
    wanted = {
        "denied": ("PermissionError", "does not let this token change me/x3d"),
        "missing": ("FileNotFoundError", "neither a folder nor a model 'me/nothing'"),
        "empty": ("FileNotFoundError", "me/empty has no such file"),
        "path": ("FileNotFoundError", "neither a folder nor a model 'no/such/folder'"),
    }
    wanted_offline = {
        "missing": ("ConnectionError", "hf download me/nothing --local-dir FOLDER"),
        "unsent": ("ConnectionError", "save_pretrained writes the same files into a folder"),
    }
    for name, (kind, words) in wanted.items():
        assert (found[name][0], words in found[name][1]) == (kind, True), found[name]
    for name, (kind, words) in wanted_offline.items():
        got = found["offline"][name]
        assert (got[0], words in got[1]) == (kind, True), got
