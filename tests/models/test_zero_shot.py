# SPDX-License-Identifier: Apache-2.0
"""Zero-shot classification: the numbers of ``transformers`` on single pictures, means over frames and sentences."""

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo.models import ZeroShotModel, create_zero_shot

transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
LABELS = ("archery", "playing chess", "juggling")
ONE = ("a video of {}",)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(verbosity)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model drawn at random, with a tokenizer of single letters."""
    path: Path = tmp_path_factory.mktemp(request.param)
    letters = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase)]
    vocabulary = {word: i for i, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(path)
    text = {**SIZES, "vocab_size": 54, "max_position_embeddings": 40}
    text |= {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    config = transformers.AutoConfig.for_model(
        request.param,
        vision_config={**SIZES, "image_size": 32, "patch_size": 8},
        text_config=text,
        projection_dim=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.AutoModel.from_config(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(path)
    return path


def theirs(folder: Path, sentences: list[str], frames: torch.Tensor) -> torch.Tensor:
    """What ``transformers`` says of pictures: logits (N, num_sentences), without SigLIP's bias."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    is_siglip = model.config.model_type == "siglip"
    options = {"padding": "max_length", "max_length": 40} if is_siglip else {"padding": True}
    tokens = tokenizer(sentences, return_tensors="pt", **options)
    inputs: dict[str, Any] = {"input_ids": tokens["input_ids"]}
    if not is_siglip:
        inputs["attention_mask"] = tokens["attention_mask"]
    with torch.inference_mode():
        logits: torch.Tensor = model(pixel_values=frames, **inputs).logits_per_image
    return logits - model.logit_bias.detach() if is_siglip else logits


def test_one_frame_is_a_picture(folder: Path) -> None:
    model = create_zero_shot(folder, LABELS, templates=ONE).eval()
    pictures = torch.rand(4, 3, 32, 32)
    wanted = theirs(folder, [f"a video of {label}" for label in LABELS], pictures)
    with torch.inference_mode():
        torch.testing.assert_close(model(pictures[:, :, None]), wanted, rtol=1e-4, atol=1e-5)
    assert wanted.std() > 1e-3
    assert model.labels == LABELS


def test_frames_and_sentences_are_averaged_as_directions(folder: Path) -> None:
    templates = ("a video of {}", "the {}")
    model = create_zero_shot(folder, LABELS, templates=templates).eval()
    clips = torch.rand(2, 3, 5, 32, 32)
    with torch.inference_mode():
        frames = model.forward_features(clips.transpose(1, 2).flatten(0, 1)[:, :, None])
        means = torch.nn.functional.normalize(frames.unflatten(0, (2, 5)).mean(dim=1), dim=-1)
        torch.testing.assert_close(model.forward_features(clips), means)
        assert torch.allclose(model(clips), model(clips.flip(2)), atol=1e-4)
        parts = [create_zero_shot(folder, LABELS, templates=(t,)).texts for t in templates]
        both = torch.nn.functional.normalize(sum(parts), dim=-1)
    torch.testing.assert_close(model.texts, both)
    # the encoder of texts is not kept
    assert not any("Text" in type(module).__name__ for module in model.modules())


def test_the_recipe_fits(folder: Path) -> None:
    model = create_zero_shot(folder, LABELS, num_frames=3)
    assert (model.recipe.num_frames, model.recipe.crop_size) == (3, 32)
    clip = model.recipe.transforms()(torch.rand(3, 9, 40, 60) * 255)
    assert model.eval()(clip[None]).shape == (1, 3)
    copy = ZeroShotModel(
        model.encoder, model.projection, model.texts[:2], model.scale, model.recipe, LABELS[:2]
    )
    assert copy(clip[None]).shape == (1, 2)
    # as many patches, elsewhere
    with pytest.raises(ValueError, match=r"with H = 32, but got .* `recipe` make them"):
        model(torch.rand(1, 3, 2, 16, 64))


def test_errors(folder: Path, tmp_path: Path) -> None:
    for labels in (["run"], ["run", "run"], "run"):
        with pytest.raises(ValueError, match="`labels` to be two or more names, each once"):
            create_zero_shot(folder, labels)
    with pytest.raises(ValueError, match=r"sentences with \{\} for the label"):
        create_zero_shot(folder, LABELS, templates=["a video"])
    with pytest.raises(OSError, match="Cannot load 'nobody/nothing'"):
        create_zero_shot("nobody/nothing", LABELS)
    transformers.VivitConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a model of clip or siglip, but got 'vivit'"):
        create_zero_shot(tmp_path, LABELS)
