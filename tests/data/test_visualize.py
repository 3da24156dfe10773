# SPDX-License-Identifier: Apache-2.0
"""Images show the clips that they are made of: sizes, order, colours, captions."""

import io
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data import EncodedVideo, LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data.visualize import (
    CaptionedClip,
    caption_frames,
    contact_sheet,
    gif_bytes,
    read_clips,
    save_clip,
    show_clip,
    unnormalize,
)
from pytorchvideo.transforms import Normalize

RED, GREEN, BLUE = (250, 10, 20), (10, 240, 30), (20, 30, 245)


def plain_clip(*colours: tuple[int, int, int], side: int = 40) -> torch.Tensor:
    """uint8 (3, T, H, W), a colour a frame."""
    return torch.tensor(colours, dtype=torch.uint8).T[:, :, None, None].repeat(1, 1, side, side)


@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 1)] * 3),
    seed=st.integers(0, 99),
)
def test_unnormalize_undoes_normalize(
    mean: tuple[float, ...], std: tuple[float, ...], seed: int
) -> None:
    clip = torch.randint(0, 256, (3, 2, 4, 5), generator=torch.Generator().manual_seed(seed))
    clip = clip.to(torch.uint8)
    normalised = Normalize(mean, std)(clip / 255)
    assert torch.equal(unnormalize(normalised, mean, std), clip)
    batch = torch.stack([normalised, normalised])
    assert torch.equal(unnormalize(batch, list(mean), torch.tensor(std))[1], clip)


def test_values_and_layouts() -> None:
    clip = plain_clip(RED, GREEN)
    for same, options in (
        (clip, {}),
        (clip.float(), {}),
        (clip / 255, {"max_value": 1.0}),
        ((clip / 255 - 0.45) / 0.225, {"mean": (0.45,) * 3, "std": (0.225,) * 3}),
    ):
        (shown,) = read_clips(same, **options)
        assert torch.equal(shown.frames, clip)
    assert len(read_clips(clip[None].repeat(3, 1, 1, 1, 1))) == 3
    (grey,) = read_clips(clip[:1])
    assert torch.equal(grey.frames[2], clip[0])
    slow, fast = read_clips({"video": [clip[:, ::2], clip], "label": 1}, class_names=["a", "b"])
    assert (slow.frames.shape[1], fast.frames.shape[1]) == (1, 2)
    assert slow.caption == fast.caption == "b"


def test_samples_and_batches_are_captioned(make_video: Callable[..., Path]) -> None:
    videos = [(str(make_video(f"{name}.mp4")), {"label": i}) for i, name in enumerate("ab")]
    dataset = LabeledVideoDataset(videos, make_clip_sampler("constant_clips_per_video", 0.5, 1))
    names = ["jump", "run"]
    captions = set()
    for sample in dataset:
        (shown,) = read_clips(sample, class_names=names)
        captions.add(shown.caption)
        assert torch.equal(shown.frames, sample["video"].to(torch.uint8))
    assert captions == {"jump, a.mp4", "run, b.mp4"}
    batch = next(iter(DataLoader(dataset, batch_size=2)))
    assert {clip.caption for clip in read_clips(batch)} == {"0, a.mp4", "1, b.mp4"}
    flash_batch = {"input": batch["video"], "target": torch.tensor([[0.5, 0.5], [0.2, 0.8]])}
    assert [clip.caption for clip in read_clips(flash_batch)] == ["", ""]
    pathways = {"video": [batch["video"][:, :, ::2], batch["video"]], "label": batch["label"]}
    labels = [str(label) for label in batch["label"].tolist()]
    assert [clip.caption for clip in read_clips(pathways)] == labels * 2


def test_a_file_is_spread_over_its_length(make_video: Callable[..., Path]) -> None:
    path = make_video("long.mp4", num_frames=60)
    (shown,) = read_clips(path, num_frames=7)
    with EncodedVideo.from_path(path, dtype=torch.uint8) as video:
        wanted = video.get_frames(indices=[0, 10, 20, 30, 39, 49, 59]).data
    assert torch.equal(shown.frames, wanted)
    assert shown.caption == "long.mp4"


def test_gif_has_every_frame_in_order() -> None:
    clip = plain_clip(RED, GREEN, BLUE)
    with Image.open(io.BytesIO(gif_bytes(clip, fps=5, side=20))) as gif:
        assert (gif.size, gif.n_frames, gif.info["duration"]) == ((20, 20), 3, 200)
        for t, colour in enumerate((RED, GREEN, BLUE)):
            gif.seek(t)
            assert gif.convert("RGB").getpixel((3, 3)) == colour


def gif_times(path: Path | io.BytesIO) -> list[int]:
    """Milliseconds for which each frame is shown, by another reader."""
    import av

    with av.open(path) as container:
        times = [frame.pts * 10 for frame in container.decode(video=0) if frame.pts is not None]
    with Image.open(path) as gif:
        gif.seek(gif.n_frames - 1)
        times.append(times[-1] + int(gif.info["duration"]))
    return [end - start for start, end in itertools.pairwise(times)]


@given(count=st.integers(2, 30), fps=st.floats(0.5, 240))
def test_a_gif_lasts_as_long_as_its_clip(count: int, fps: float) -> None:
    """Delays are hundredths of a second, and browsers take less than two of these for ten."""
    colours = [(8 * i, 255 - 8 * i, 0) for i in range(count)]
    delays = gif_times(io.BytesIO(gif_bytes(plain_clip(*colours, side=2), fps=fps)))
    assert min(delays) >= 20
    assert abs(sum(delays) - max(20, 1000 * count / fps)) <= 5.001
    if fps <= 50:
        assert len(delays) == count
        starts = [sum(delays[:i]) for i in range(count)]
        assert all(abs(s - 1000 * i / fps) <= 10.001 for i, s in enumerate(starts))


def test_a_file_plays_at_its_own_speed(make_video: Callable[..., Path], tmp_path: Path) -> None:
    video = make_video("clip.mp4", num_frames=63, fps=30)  # 2.1 s, of which 16 frames are shown
    delays = gif_times(save_clip(video, tmp_path / "clip.gif"))
    assert (len(delays), sum(delays)) == (16, 2100)
    with EncodedVideo.from_path(save_clip(video, tmp_path / "clip.mp4")) as written:
        assert float(written.duration) == pytest.approx(2.1, abs=0.01)
    assert sum(gif_times(save_clip(video, tmp_path / "slow.gif", fps=4))) == 4000


def test_an_mp4_has_every_frame_in_order(tmp_path: Path) -> None:
    clip = plain_clip(RED, GREEN, BLUE, side=41)
    path = save_clip(clip, tmp_path / "clip.mp4", fps=2.5)
    with EncodedVideo.from_path(path) as video:
        assert video.rate == 2.5
        found = video.get_clip(0, 10)["video"]
    assert found is not None
    assert found.shape == (3, 3, 40, 40)
    middle = found[:, :, 20, 20].T
    assert (middle - torch.tensor([RED, GREEN, BLUE])).abs().max() < 12


def test_clips_of_a_batch_play_side_by_side(tmp_path: Path) -> None:
    clips = [plain_clip(RED, GREEN), plain_clip(BLUE), plain_clip(GREEN, RED)]
    with Image.open(save_clip(clips, tmp_path / "clips.GIF")) as gif:
        assert (gif.size, gif.n_frames) == ((80, 80), 2)
        gif.seek(1)
        frame = gif.convert("RGB")
    places = [(10, 10), (50, 10), (10, 50), (50, 50)]
    assert [frame.getpixel(place) for place in places] == [GREEN, BLUE, RED, (0, 0, 0)]


def test_captions_are_at_the_bottom_and_leave_the_rest() -> None:
    clip = plain_clip(RED, GREEN, side=80)
    captioned = caption_frames(clip, "jump 0.93")
    assert torch.equal(captioned[:, :, :60], clip[:, :, :60])
    assert (captioned[:, 0, 66:].amin(dim=0) > 200).any()  # white writing
    assert not torch.equal(captioned[:, 1, 66:], clip[:, 1, 66:])
    assert torch.equal(caption_frames(clip, ""), clip)
    second = caption_frames(clip, ["", "run"])
    assert torch.equal(second[:, 0], clip[:, 0])
    assert torch.equal(second[:, 1], caption_frames(clip, "run")[:, 1])
    with pytest.raises(ValueError, match="one text, or 2, one a frame"):
        caption_frames(clip, ["run"])


def test_contact_sheets_wrap_and_caption() -> None:
    first = CaptionedClip(plain_clip(RED, GREEN, BLUE), "jump")
    sheet = contact_sheet([first, plain_clip(BLUE)], columns=2, gap=4)
    band = 10 + 4
    assert sheet.size == (2 * 44 - 4, 3 * 44 - 4 + 2 * band)
    pixels = np.asarray(sheet)
    assert pixels[:band].min() < 100  # the caption
    tops = {0: band, 1: band + 44, 2: 2 * band + 88}
    assert tuple(pixels[tops[0] + 5, 5]) == RED
    assert tuple(pixels[tops[0] + 5, 49]) == GREEN
    assert tuple(pixels[tops[1] + 5, 5]) == BLUE
    assert tuple(pixels[tops[2] + 5, 5]) == BLUE
    assert tuple(pixels[tops[1] + 5, 49]) == (255, 255, 255)
    assert contact_sheet(first, columns=8, side=20, caption=False).size == (3 * 24 - 4, 20)


def test_a_contact_sheet_is_bounded() -> None:
    large = plain_clip(*[RED] * 20).repeat(1, 1, 10, 20)  # 400 x 800 pixels
    assert contact_sheet(large, columns=5).size == (5 * 804 - 4, 4 * 404 - 4)
    sheet = contact_sheet([large, plain_clip(BLUE)], columns=5, max_pixels=500_000)
    width, height = sheet.size
    assert 400_000 < width * height <= 500_000
    # frames keep their proportions, and small ones their size
    pixels = np.asarray(sheet)
    red = (pixels == RED).all(axis=2)
    assert red[:, 0].sum() / 4 == pytest.approx(red[0].sum() / 5 / 2, abs=1)
    assert (pixels == BLUE).all(axis=2).sum() == 40 * 40
    with pytest.raises(ValueError, match=r"fit into 1000 pixels .* got '20 frames'"):
        contact_sheet(large, max_pixels=1000)


def test_notebooks_get_a_gif(monkeypatch: pytest.MonkeyPatch) -> None:
    display = ModuleType("IPython.display")
    display.Image = lambda **arguments: arguments  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    clip = plain_clip(RED, GREEN)
    assert show_clip(clip) == {"data": gif_bytes(clip), "format": "gif"}
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(ImportError, match=r"Use save_clip\(source, path\) elsewhere"):
        show_clip(clip)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (torch.zeros(3, 4, 4), {}, r"a clip \(C, T, H, W\) or a batch.*but got \(3, 4, 4\)"),
        (torch.zeros(4, 2, 4, 4), {}, r"1 or 3 channels, but got \(4, 2, 4, 4\)"),
        ({"label": 1}, {}, r"a sample with 'video', but got \['label'\]"),
        (torch.zeros(3, 1, 4, 4), {"mean": (0.5,)}, "both given, or neither"),
        ([], {}, "at least one clip"),
    ],
)
def test_errors(source: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_clip(source, tmp_path / "a.gif", **options)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in .gif or .mp4, but got 'a.webp'"):
        save_clip(plain_clip(RED), "a.webp")
    with pytest.raises(FileNotFoundError, match=r"missing\.mp4"):
        contact_sheet(tmp_path / "missing.mp4")
    for name, least in (("columns", 1), ("side", 1), ("gap", 0)):
        with pytest.raises(ValueError, match=f"`{name}` to be >= {least}, but got {least - 1}"):
            contact_sheet(plain_clip(RED), **{name: least - 1})
    for fps in (0, -1, float("nan")):
        for ending in ("gif", "mp4"):
            with pytest.raises(
                ValueError, match=f"`fps` to be > 0 frames per second, but got {fps}"
            ):
                save_clip(plain_clip(RED), tmp_path / f"a.{ending}", fps=fps)
