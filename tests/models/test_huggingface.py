# SPDX-License-Identifier: Apache-2.0
"""Models of ``transformers``: their own answers, our layout; recipes that do what their processors do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorchvideo.models import ClipRecipe
from pytorchvideo.models.huggingface import HuggingFaceModel, create_hugging_face

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIGS = {
    "videomae": {"image_size": 32, "patch_size": 8, "num_frames": 4, "intermediate_size": 64},
    "timesformer": {"image_size": 32, "patch_size": 8, "num_frames": 8, "intermediate_size": 64},
    "vivit": {
        "image_size": 32,
        "tubelet_size": [2, 8, 8],
        "num_frames": 4,
        "intermediate_size": 64,
    },
    "vjepa2": {
        "crop_size": 32,
        "patch_size": 8,
        "frames_per_clip": 4,
        "mlp_ratio": 2,
        "pred_hidden_size": 32,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
        "num_pooler_layers": 1,
    },
}
FAMILIES = sorted(CONFIGS)
PICTURES = ("clip", "siglip")
PROCESSORS = {
    "videomae": "VideoMAEVideoProcessor",
    "timesformer": "TimesformerVideoProcessor",
    "vivit": "VivitVideoProcessor",
    "vjepa2": "VJEPA2VideoProcessor",
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(verbosity)


def config_of(family: str, **changes: Any) -> Any:
    return transformers.AutoConfig.for_model(family, **{**SMALL, **CONFIGS[family], **changes})


def pictures_config(family: str) -> Any:
    sizes = {**SMALL, "intermediate_size": 64}
    return transformers.AutoConfig.for_model(
        family,
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        text_config={**sizes, "vocab_size": 99, "max_position_embeddings": 16},
        projection_dim=16,
    )


def clips_for(model: HuggingFaceModel, batch: int = 2) -> torch.Tensor:
    side = model.recipe.crop_size or 0
    return torch.rand(batch, 3, model.recipe.num_frames, side, side)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    config = config_of(family, id2label={0: "jump", 1: "run", 2: "sit"})
    theirs = transformers.AutoModelForVideoClassification.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    model = create_hugging_face(tmp_path).eval()
    assert model.labels == ("jump", "run", "sit")
    clips = clips_for(model)
    with torch.inference_mode():
        wanted = theirs(clips.transpose(1, 2)).logits
        torch.testing.assert_close(model(clips), wanted, rtol=0, atol=1e-6)
        features = model.forward_features(clips)
        assert features.shape == (2, model.num_features) == (2, 32)
        torch.testing.assert_close(model.classifier(features), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_classifier_trains_and_goes_back_to_transformers(family: str, tmp_path: Path) -> None:
    model = create_hugging_face(config_of(family), num_classes=5)
    clips = clips_for(model)
    assert model(clips).shape == (2, 5)
    model.reset_classifier(4)
    model(clips).square().sum().backward()
    without = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert all(name.startswith("trunk.vjepa2.predictor.") for name in without)
    model.labels = ("a", "b", "c", "d")
    model.eval()
    model.to_transformers().save_pretrained(tmp_path)
    theirs = transformers.AutoModelForVideoClassification.from_pretrained(tmp_path)
    assert theirs.config.id2label == {0: "a", 1: "b", 2: "c", 3: "d"}
    with torch.inference_mode():
        torch.testing.assert_close(theirs(clips.transpose(1, 2)).logits, model(clips))
    assert model(clips).shape == (2, 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_of_plain_data_gives_the_same_shapes(family: str) -> None:
    model = create_hugging_face(config_of(family), num_classes=3)
    again = create_hugging_face(model.config)
    again.load_state_dict(model.state_dict())
    clips = clips_for(model)
    model.eval(), again.eval()
    with torch.inference_mode():
        assert torch.equal(model(clips), again(clips))
    assert again.recipe == model.recipe


@pytest.mark.parametrize("family", FAMILIES)
def test_recipes_do_what_the_processor_does(family: str, tmp_path: Path) -> None:
    """On constant colours, which no way of resizing changes."""
    processor = getattr(transformers, PROCESSORS[family])(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}
    )
    processor.save_pretrained(tmp_path)
    transformers.AutoModelForVideoClassification.from_config(config_of(family)).save_pretrained(
        tmp_path
    )
    model = create_hugging_face(tmp_path, num_classes=2)
    # V-JEPA 2's processor keeps to the ratio that it was trained with
    sides = (40, 36) if family == "vjepa2" else (40,)
    assert model.recipe.side_size in sides
    assert model.recipe.crop_size == 32
    colours = np.array([10, 120, 250], np.uint8)
    frames = np.broadcast_to(colours, (model.recipe.num_frames, 50, 60, 3)).copy()
    theirs = next(iter(processor(list(frames), return_tensors="pt").values()))  # (1, T, C, H, W)
    ours = model.recipe.transforms()(torch.from_numpy(frames).permute(3, 0, 1, 2).float())
    torch.testing.assert_close(ours, theirs[0].transpose(0, 1), rtol=0, atol=1e-4)


def test_recipes_of_older_processors(tmp_path: Path) -> None:
    """The Hub's files name classes of earlier releases, and say a size as a number."""
    config = config_of("timesformer")
    transformers.AutoModelForVideoClassification.from_config(config).save_pretrained(tmp_path)
    processor = {
        "feature_extractor_type": "VideoMAEFeatureExtractor",
        "image_mean": [0.45, 0.45, 0.45],
        "image_std": [0.225, 0.225, 0.225],
        "size": 48,
        "crop_size": 32,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    recipe = create_hugging_face(tmp_path).recipe
    assert (recipe.side_size, recipe.crop_size) == (48, 32)
    assert (recipe.mean, recipe.std) == ((0.45,) * 3, (0.225,) * 3)


def test_recipes_of_published_sizes() -> None:
    recipe = create_hugging_face(config_of("timesformer", num_frames=96)).recipe
    assert (recipe.num_frames, recipe.sampling_rate) == (96, 4)
    vivit = create_hugging_face(config_of("vivit")).recipe
    assert (vivit.mean, vivit.std) == ((0.75,) * 3, (0.25,) * 3)
    assert ClipRecipe.from_dict(vivit.to_dict()) == vivit


def test_a_pretrained_encoder_gets_a_head(tmp_path: Path) -> None:
    encoder = transformers.AutoModel.from_config(config_of("vjepa2"))
    encoder.save_pretrained(tmp_path)
    model = create_hugging_face(tmp_path, num_classes=6)
    kinds = [type(part).__name__ for part in model.head_modules()]
    assert kinds == ["VJEPA2AttentivePooler", "Linear"]
    loaded = model.trunk.base_model.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in encoder.state_dict().items())
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in model.head_modules():
        part.requires_grad_(True)
    model(clips_for(model)).sum().backward()
    assert all(p.grad is None for p in model.trunk.base_model.parameters())
    assert model.classifier.weight.grad is not None


@pytest.mark.parametrize("family", PICTURES)
def test_encoders_of_pictures_see_every_frame(family: str, tmp_path: Path) -> None:
    whole = transformers.AutoModel.from_config(pictures_config(family)).eval()
    whole.save_pretrained(tmp_path)
    model = create_hugging_face(tmp_path, num_classes=3, num_frames=5).eval()
    assert (model.recipe.num_frames, model.recipe.crop_size) == (5, 32)
    clips = clips_for(model)
    with torch.inference_mode():
        frames = clips.transpose(1, 2).flatten(0, 1)
        pooled = whole.vision_model(pixel_values=frames).pooler_output
        # the temporal layer starts as the mean of the frames
        torch.testing.assert_close(
            model.forward_features(clips), pooled.unflatten(0, (2, 5)).mean(dim=1)
        )
    kinds = [type(part).__name__ for part in model.head_modules()]
    assert kinds == ["TemporalLayer", "Linear"]
    model.train()(clips).square().sum().backward()
    assert model.trunk.temporal.layer.linear2.weight.grad.abs().sum() > 0
    with pytest.raises(TypeError, match="no model for clips with this image encoder"):
        model.to_transformers()


@pytest.mark.parametrize("family", PICTURES)
def test_encoders_of_pictures_are_built_again(family: str) -> None:
    model = create_hugging_face(pictures_config(family), num_classes=3, num_frames=4).eval()
    torch.nn.init.normal_(model.trunk.temporal.positions)
    torch.nn.init.normal_(model.trunk.temporal.layer.linear2.weight)
    again = create_hugging_face(model.config).eval()
    again.load_state_dict(model.state_dict())
    clips = clips_for(model)
    with torch.inference_mode():
        assert torch.equal(model(clips), again(clips))
        # order matters once the positions do
        assert not torch.allclose(model(clips), model(clips.flip(2)))
    processor = getattr(
        transformers, {"clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}[family]
    )()
    frames = np.full((4, 40, 50, 3), (10, 120, 250), np.uint8)
    theirs = processor(list(frames), return_tensors="pt")["pixel_values"]  # (T, C, H, W)
    ours = model.recipe.transforms()(torch.from_numpy(frames).permute(3, 0, 1, 2).float())
    torch.testing.assert_close(ours[:, :, 0, 0], theirs[:, :, 0, 0].T, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_of_another_size_are_refused(family: str) -> None:
    model = create_hugging_face(config_of(family), num_classes=2).eval()
    frames = model.recipe.num_frames
    # with as many patches in each
    with pytest.raises(ValueError, match=r"with H = 32.*create_hugging_face\(source, num_frames"):
        model(torch.rand(1, 3, frames, 16, 64))
    if family == "vjepa2":
        assert model(torch.rand(1, 3, frames + 2, 32, 32)).shape == (1, 2)
        with pytest.raises(ValueError, match="with T a multiple of 2, but got"):
            model(torch.rand(1, 3, frames + 1, 32, 32))
    else:
        with pytest.raises(ValueError, match=f"with T = {frames}, but got"):
            model(torch.rand(1, 3, 2 * frames, 32, 32))


def saved_model(family: str, folder: Path, **changes: Any) -> Any:
    """A model with weights that all matter, in a folder."""
    model = transformers.AutoModelForVideoClassification.from_config(config_of(family, **changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("timesformer", {"num_frames": 12}),
        ("timesformer", {"num_frames": 4, "image_size": 48}),
        ("timesformer", {"image_size": 24}),
        ("videomae", {"num_frames": 8, "image_size": 48}),
        ("vjepa2", {"num_frames": 8, "image_size": 48}),
    ],
)
def test_other_sizes_are_those_of_transformers(
    family: str, options: dict[str, int], tmp_path: Path
) -> None:
    theirs = saved_model(family, tmp_path / "theirs")
    model = create_hugging_face(tmp_path / "theirs", **options).eval()
    sizes = {"num_frames": model.recipe.num_frames, "image_size": model.recipe.crop_size}
    assert {**sizes, **options} == sizes
    if family == "timesformer":
        # it interpolates when it runs, and reads the grid of its configuration in every layer
        for name, value in options.items():
            setattr(theirs.config, name, value)
    else:
        names = {"frames_per_clip": 8, "crop_size": 48} if family == "vjepa2" else options
        theirs = transformers.AutoModelForVideoClassification.from_pretrained(
            tmp_path / "theirs", **names
        ).eval()
    clips = clips_for(model)
    model.to_transformers().save_pretrained(tmp_path / "again")
    with torch.inference_mode():
        wanted = theirs(clips.transpose(1, 2)).logits
        torch.testing.assert_close(model(clips), wanted, rtol=0, atol=1e-6)
        again = create_hugging_face(tmp_path / "again").eval()
        torch.testing.assert_close(again(clips), wanted, rtol=0, atol=1e-6)


def test_positions_of_vivit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In space as ``transformers`` would, which knows one step in time, and that only while it traces."""
    theirs = saved_model("vivit", tmp_path, num_frames=2).vivit.embeddings
    model = create_hugging_face(tmp_path, image_size=48)
    got = model.trunk.vivit.embeddings.position_embeddings
    with monkeypatch.context() as patch:
        patch.setattr(torch.jit, "is_tracing", lambda: True)
        wanted = theirs.interpolate_pos_encoding(torch.zeros(1, 37, 32), 48, 48)
    torch.testing.assert_close(got, wanted)
    longer = create_hugging_face(tmp_path, num_frames=6, image_size=48)
    # one step in time, which does not change, three times
    table = longer.trunk.vivit.embeddings.position_embeddings
    torch.testing.assert_close(table[:, :1], wanted[:, :1])
    torch.testing.assert_close(table[:, 1:], wanted[:, 1:].repeat(1, 3, 1))
    assert longer(clips_for(longer)).shape == (2, 2)


def test_vivit_in_time(tmp_path: Path) -> None:
    before = saved_model("vivit", tmp_path).vivit.embeddings.position_embeddings.detach()
    model = create_hugging_face(tmp_path, num_frames=8)
    first, second = before[0, 1:17], before[0, 17:]
    after = model.trunk.vivit.embeddings.position_embeddings[0, 1:].unflatten(0, (4, 16))
    for step, share in enumerate((0.0, 0.25, 0.75, 1.0)):
        torch.testing.assert_close(after[step], (1 - share) * first + share * second)


@pytest.mark.parametrize("family", PICTURES)
def test_larger_pictures(family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = transformers.AutoModel.from_config(pictures_config(family)).eval()
    torch.nn.init.normal_(whole.vision_model.embeddings.position_embedding.weight)
    whole.save_pretrained(tmp_path)
    with caplog.at_level("INFO"):
        model = create_hugging_face(tmp_path, 3, num_frames=2, image_size=48).eval()
    assert "embeddings.position_embedding.weight were interpolated" in caplog.text
    clips = clips_for(model)
    assert clips.shape == (2, 3, 2, 48, 48)
    with torch.inference_mode():
        frames = clips.transpose(1, 2).flatten(0, 1)
        pooled = whole.vision_model(
            pixel_values=frames, interpolate_pos_encoding=True
        ).pooler_output
        torch.testing.assert_close(
            model.forward_features(clips), pooled.unflatten(0, (2, 2)).mean(dim=1)
        )
    again = create_hugging_face(model.config).eval()
    again.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(clips), model(clips))


def test_errors() -> None:
    model = create_hugging_face(config_of("videomae"), num_classes=2)
    with pytest.raises(ValueError, match=r"clips \(B, 3, T, H, W\) with T = 4, but got"):
        model(torch.rand(1, 3, 6, 32, 32))
    with pytest.raises(ValueError, match=r"with W = 32, but got \(1, 3, 4, 32, 40\)"):
        model(torch.rand(1, 3, 4, 32, 40))
    with pytest.raises(ValueError, match="Channels come before time"):
        model(torch.rand(1, 4, 3, 32, 32))
    with pytest.raises(ValueError, match=r"`num_classes` to be >= 1, but got 0"):
        model.reset_classifier(0)
    with pytest.raises(ValueError, match=r"`num_classes` to be >= 1, but got -1"):
        create_hugging_face(config_of("videomae"), num_classes=-1)
    with pytest.raises(ValueError, match=r"a model of clip, siglip, timesformer.*but got 'bert'"):
        create_hugging_face({"model_type": "bert"})
    with pytest.raises(ValueError, match=r"`num_frames` to be a multiple of 2.*but got 7"):
        create_hugging_face(config_of("videomae"), num_frames=7)
    with pytest.raises(ValueError, match=r"`image_size` to be a multiple of 8.*but got 60"):
        create_hugging_face(config_of("timesformer"), image_size=60)
    with pytest.raises(ValueError, match=r"`num_frames` to be whole numbers >= 1"):
        create_hugging_face(pictures_config("clip"), num_frames=0)
    with pytest.raises(TypeError, match="a configuration of transformers, but got 'int'"):
        create_hugging_face(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ends with a linear `classifier`, but got 'Identity'"):
        HuggingFaceModel(torch.nn.Identity(), model.recipe)
    with pytest.raises(OSError, match=r"Cannot load 'nobody/nothing'.*hf download nobody/nothing"):
        create_hugging_face("nobody/nothing")


def test_folders_without_weights_are_named(tmp_path: Path) -> None:
    config_of("vivit").save_pretrained(tmp_path)
    with pytest.raises(OSError, match=os.fspath(tmp_path)):
        create_hugging_face(tmp_path)
