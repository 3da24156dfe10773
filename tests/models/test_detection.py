# SPDX-License-Identifier: Apache-2.0
"""Models that score boxes: builders that use their arguments, what all models can do, names, weights and recipes."""

import copy
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import nn

from pytorchvideo.models import (
    DetectionBBoxNetwork,
    Net,
    create_bottleneck_block,
    create_model,
    create_res_basic_stem,
    create_res_roi_pooling_head,
    create_resnet,
    create_resnet_with_roi_head,
    create_slowfast_with_roi_head,
    get_weights,
    load_checkpoint,
)
from pytorchvideo.models.slowfast import FastToSlowFusionBuilder
from pytorchvideo.transforms.functional import short_side_scale_with_boxes

Input = torch.Tensor | list[torch.Tensor]

BOXES = torch.tensor([[0, 4, 2, 40, 60], [1, 20, 10, 63, 50], [0, 0, 0, 63, 63]])


def build_resnet() -> DetectionBBoxNetwork:
    return create_resnet_with_roi_head(stem_dim_out=4, model_num_class=5)


def build_slowfast() -> DetectionBBoxNetwork:
    return create_slowfast_with_roi_head(
        stem_dim_outs=(8, 1),
        model_depth=18,
        model_num_class=5,
        head_pool_kernel_sizes=((2, 1, 1), (8, 1, 1)),
    )


def build_shallow() -> DetectionBBoxNetwork:
    """What is between clips and boxes in every family, without the stages that other tests record."""
    stem = create_res_basic_stem(in_channels=3, out_channels=8)
    head = create_res_roi_pooling_head(
        in_features=8,
        out_features=5,
        resolution=(7, 7),
        spatial_scale=0.25,
        pool_kernel_size=(4, 1, 1),
        activation=nn.Sigmoid,
    )
    return DetectionBBoxNetwork(Net(blocks=nn.ModuleList([stem]), input_channels=3), head)


FAMILIES = {"resnet": build_resnet, "slowfast": build_slowfast}
# Recording a graph takes seconds a model.
RECORDED = ["shallow", *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)]


@pytest.fixture(scope="module")
def models() -> dict[str, DetectionBBoxNetwork]:
    """Small models in which every box gets scores of its own: norms of zero would hide what blocks compute."""
    built = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, build in {**FAMILIES, "shallow": build_shallow}.items():
            model = build().eval()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm3d):
                    nn.init.ones_(module.weight)
            nn.init.normal_(model.classifier.weight, std=0.1)
            built[name] = model
    return built


def clips_for(name: str) -> Input:
    rng = torch.Generator().manual_seed(3)
    fast = torch.rand(2, 3, 8, 64, 64, generator=rng) * 2 - 1
    return [fast[:, :, ::4], fast] if name == "slowfast" else fast[:, :, ::2]


# --- the networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_boxes_of_two_clips(models: dict[str, DetectionBBoxNetwork], name: str) -> None:
    """A box sees its own clip, whatever the order of the boxes and whoever else is in the batch."""
    model, clips = models[name], clips_for(name)
    with torch.inference_mode():
        scores = model(clips, BOXES)
        assert scores.shape == (3, 5)
        assert (scores[0] - scores[2]).abs().max() > 1e-3
        order = [2, 0, 1]
        torch.testing.assert_close(model(clips, BOXES[order]), scores[order])
        second = [one[1:] for one in clips] if isinstance(clips, list) else clips[1:]
        box = BOXES[1:2] * torch.tensor([0, 1, 1, 1, 1])
        torch.testing.assert_close(model(second, box)[0], scores[1])
        assert model(clips, BOXES[:0]).shape == (0, 5)
        assert model.forward_features(clips, BOXES[:0]).shape == (0, model.num_features)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_and_classifier(models: dict[str, DetectionBBoxNetwork], name: str) -> None:
    model, clips = copy.deepcopy(models[name]), clips_for(name)
    keys = list(model.state_dict())
    with torch.inference_mode():
        features, scores = model.forward_features(clips, BOXES), model(clips, BOXES)
        assert features.shape == (3, model.num_features)
        torch.testing.assert_close(model.classifier(features).sigmoid(), scores)
        model.reset_classifier(2)
        assert model(clips, BOXES).shape == (3, 2)
        torch.testing.assert_close(model.forward_features(clips, BOXES), features)
    assert list(model.state_dict()) == keys
    assert keys[-2:] == ["detection_head.proj.weight", "detection_head.proj.bias"]
    assert all(key.startswith(("model.blocks.", "detection_head.proj.")) for key in keys)
    with pytest.raises(ValueError, match="`num_classes` to be >= 1, but got 0"):
        model.reset_classifier(0)


@pytest.mark.parametrize("name", FAMILIES)
def test_inputs_stay_as_they_are_and_every_parameter_learns(name: str) -> None:
    model, clips, boxes = FAMILIES[name](), clips_for(name), BOXES.float()
    before = copy.deepcopy((clips, boxes))
    model(clips, boxes).square().sum().backward()
    torch.testing.assert_close((clips, boxes), before, rtol=0, atol=0)
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_wrong_clips(models: dict[str, DetectionBBoxNetwork]) -> None:
    resnet, slowfast = models["resnet"], models["slowfast"]
    for call in (resnet, resnet.forward_features):
        with pytest.raises(ValueError, match="Add the batch dimension"):
            call(torch.rand(3, 4, 64, 64), BOXES)
    with pytest.raises(ValueError, match="leaves 5 of 8"):
        resnet(torch.rand(2, 3, 8, 64, 64), BOXES)
    with pytest.raises(ValueError, match=r"a list of 2 batches .* but got 'Tensor'"):
        slowfast(torch.rand(2, 3, 8, 64, 64), BOXES)


def test_a_head_of_ones_own() -> None:
    class Head(nn.Module):
        def forward(self, x: torch.Tensor, bboxes: torch.Tensor) -> torch.Tensor:
            return bboxes[:, 1:] * x.mean()

    model = DetectionBBoxNetwork(nn.Identity(), Head())
    assert model(torch.ones(1, 2, 1, 3, 3), BOXES).shape == (3, 4)
    assert not hasattr(model, "classifier")
    with pytest.raises(ValueError, match="a ResNetRoIHead, to have a classifier, but got 'Head'"):
        model.reset_classifier(3)


@pytest.mark.parametrize("name", FAMILIES)
def test_copies(models: dict[str, DetectionBBoxNetwork], name: str, tmp_path: Path) -> None:
    model, clips = models[name], clips_for(name)
    loaded, same = FAMILIES[name]().eval(), FAMILIES[name]().eval()
    save_model(model, str(tmp_path / "a.safetensors"))
    load_model(loaded, str(tmp_path / "a.safetensors"))
    load_checkpoint(same, {"model_state": model.state_dict()})
    with torch.inference_mode():
        wanted = model(clips, BOXES)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded, same):
            assert torch.equal(other(clips, BOXES), wanted)


@pytest.mark.parametrize("name", RECORDED)
def test_export_with_any_number_of_boxes(
    models: dict[str, DetectionBBoxNetwork], name: str
) -> None:
    model, clips, boxes = models[name], clips_for(name), BOXES.float()
    batch, count = {0: torch.export.Dim("batch", max=16)}, {0: torch.export.Dim("count", max=64)}
    shapes = ([batch, batch] if isinstance(clips, list) else batch, count)
    program = torch.export.export(model, (clips, boxes), dynamic_shapes=shapes, strict=True)
    run = program.module()
    with torch.no_grad():
        for number in (2, 3, 7):
            some = boxes[torch.arange(number) % 3]
            torch.testing.assert_close(run(clips, some), model(clips, some))


@pytest.mark.parametrize("name", RECORDED)
def test_compile_without_graph_break(models: dict[str, DetectionBBoxNetwork], name: str) -> None:
    clips, boxes = clips_for(name), BOXES.float()
    compiled = torch.compile(models[name], backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(clips, boxes), models[name](clips, boxes))


def test_trace_and_bfloat16(models: dict[str, DetectionBBoxNetwork]) -> None:
    model, clips, boxes = models["shallow"], clips_for("shallow"), BOXES.float()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", message=".*torch.jit.trace.* is deprecated")
        warnings.filterwarnings("ignore", message=".*torch.jit.trace_method.* is deprecated")
        # RoIAlign's own check of the shape of boxes
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        traced = torch.jit.trace(model, (clips, boxes))
        torch.testing.assert_close(traced(clips, boxes[:1]), model(clips, boxes[:1]))
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        half = model(clips, boxes)
    torch.testing.assert_close(half.float(), model(clips, boxes), rtol=0, atol=0.1)


# --- the builders -----------------------------------------------------------------------------------------------


def test_last_stage_is_dilated_instead_of_strided() -> None:
    model = build_resnet()
    for block in model.model.blocks[-1].res_blocks:
        conv = block.branch2.conv_b
        assert (conv.stride, conv.dilation, conv.padding) == ((1, 1, 1), (1, 2, 2), (0, 2, 2))
    with torch.no_grad():
        assert model.model(torch.rand(1, 3, 4, 64, 96)).shape == (1, 128, 4, 4, 6)
    plain = create_resnet(stem_dim_out=4, stem_conv_kernel_size=(1, 7, 7), head=None)
    assert list(plain.state_dict()) == list(model.model.state_dict())
    slowfast = build_slowfast().model
    assert slowfast(clips_for("slowfast")).shape == (2, 288, 1, 4, 4)
    for pathway in slowfast.blocks[4].multipathway_blocks:
        conv = pathway.res_blocks[0].branch2.conv_b
        assert (conv.stride, conv.dilation) == ((1, 1, 1), (1, 2, 2))


def recorder(build: Any, calls: list[dict[str, Any]]) -> Any:
    def record(**kwargs: Any) -> nn.Module:
        calls.append(kwargs)
        return build(**kwargs)

    return record


def test_resnet_uses_the_parts_that_it_is_given() -> None:
    stems: list[Any] = []
    bottlenecks: list[Any] = []
    heads: list[Any] = []
    with torch.device("meta"):
        model = create_resnet_with_roi_head(
            model_num_class=7,
            stem=recorder(create_res_basic_stem, stems),
            bottleneck=recorder(create_bottleneck_block, bottlenecks),
            head=recorder(create_res_roi_pooling_head, heads),
            dropout_rate=0.25,
            head_activation=None,
            head_spatial_resolution=5,
            head_sampling_ratio=2,
        )
    assert len(stems) == len(heads) == 1
    assert len(bottlenecks) == 16
    assert (heads[0]["in_features"], heads[0]["out_features"]) == (2048, 7)
    head = model.detection_head
    assert (head.dropout.p, head.activation, head.output_pool) == (0.25, None, None)
    assert (head.roi_layer.output_size, head.roi_layer.sampling_ratio) == (5, 2)
    assert head.pool_spatial.kernel_size == 5


def test_slowfast_uses_the_parts_that_it_is_given() -> None:
    stems: list[Any] = []
    bottlenecks: list[Any] = []
    fusions: list[Any] = []
    heads: list[Any] = []
    fuse = FastToSlowFusionBuilder(8, 2, 5, 4).create_module
    with torch.device("meta"):
        create_slowfast_with_roi_head(
            model_depth=18,
            stem_function=(recorder(create_res_basic_stem, stems),) * 2,
            bottleneck=((recorder(create_bottleneck_block, bottlenecks),) * 4,) * 2,
            fusion_builder=recorder(fuse, fusions),
            head=recorder(create_res_roi_pooling_head, heads),
        )
    assert [len(calls) for calls in (stems, bottlenecks, fusions, heads)] == [2, 8, 5, 1]
    assert heads[0]["in_features"] == 2304


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"`model_depth` to be one of \[50, 101, 152\]"):
        create_resnet_with_roi_head(model_depth=18)
    with pytest.raises(ValueError, match=r"`head_pool_kernel_sizes` .* each of the 2 pathways"):
        create_slowfast_with_roi_head(model_depth=18, head_pool_kernel_sizes=((8, 1, 1),))


# --- names and weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clips"),
    [
        ("slow_r50_detection", torch.zeros(1, 3, 6, 32, 48)),
        ("slowfast_r50_detection", [torch.zeros(1, 3, 2, 32, 32), torch.zeros(1, 3, 8, 32, 32)]),
    ],
)
def test_sizes_and_classes_by_name(name: str, clips: Input) -> None:
    frames = 8 if isinstance(clips, list) else 6
    model = create_model(name, num_frames=frames, num_classes=3, head_activation=None).eval()
    with torch.inference_mode():
        assert model(clips, torch.tensor([[0, 2, 3, 30, 31]])).shape == (1, 3)


def test_weights_of_other_classes(caplog: pytest.LogCaptureFixture) -> None:
    source, model = build_resnet(), create_resnet_with_roi_head(stem_dim_out=4, model_num_class=2)
    with caplog.at_level("INFO"):
        load_checkpoint(model, source.state_dict())
    assert "all but detection_head.proj.weight and detection_head.proj.bias" in caplog.text
    assert torch.equal(model.model.blocks[0].conv.weight, source.model.blocks[0].conv.weight)


def test_labels_are_those_of_ava(shared_data: Path) -> None:
    """Class n of the model is the action n + 1 of AVA, whose numbers begin at 1."""
    text = (shared_data / "annotations/ava_action_list_v2.2.pbtxt").read_text(encoding="utf-8")
    actions = re.findall(r'name: "([^"]+)"\s+label_id: (\d+)', text)
    labels = get_weights("slow_r50_detection").labels
    assert [(name, str(i + 1)) for i, name in enumerate(labels)] == actions
    assert get_weights("slowfast_r50_detection").labels == labels


def test_known_labels() -> None:
    labels = get_weights("slow_r50_detection").labels
    assert len(labels) == len(set(labels)) == 80
    named = {1: "bend/bow (at the waist)", 12: "stand", 17: "carry/hold (an object)"}
    named |= {64: "fight/hit (a person)", 79: "talk to (e.g., self, a person, a group)"}
    named |= {80: "watch (a person)"}
    assert {number: labels[number - 1] for number in named} == named


def test_boxes_follow_the_pictures() -> None:
    """A bright person on a dark picture is where its box is, after what the recipe does to both."""
    recipe = get_weights("slowfast_r50_detection").recipe
    person = torch.tensor([[200.0, 20.0, 290.0, 110.0]])
    clip = torch.zeros(3, 64, 120, 300)
    clip[:, :, 20:110, 200:290] = 255.0
    clip, person = short_side_scale_with_boxes(clip, person, recipe.side_size)
    slow, fast = recipe.transforms()(clip)
    assert slow.shape == (3, 8, 256, 640)
    assert fast.shape == (3, 32, 256, 640)
    x1, y1, x2, y2 = (int(corner) for corner in person[0].round())
    bright = (torch.ones(()) - 0.45) / 0.225
    torch.testing.assert_close(fast[0, 0, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min(), bright)
    outside = fast[0, 0].clone()
    outside[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2] = -2.0
    assert outside.max() == -2.0


def test_training_needs_the_boxes() -> None:
    with pytest.raises(ValueError, match=r"`train` to be False .*horizontal_flip_with_boxes"):
        get_weights("slow_r50_detection").transforms(train=True)
