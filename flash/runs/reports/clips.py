# SPDX-License-Identifier: Apache-2.0
"""Clips in a page: animations, players of the files, and marks of wrong labels with the list that corrects them."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flash.runs.moved import names_below
from flash.runs.reports.page import text
from flash.runs.sources import Sources

_GIF_SIDE, _GIF_FRAMES, _GIF_MS = 112, 12, 120


@dataclass(frozen=True)
class Corrections:
    """The videos whose labels a reader may correct.

    Args:
        sources: all videos of the run, with their classes.
        again: the command that trains on the corrected list.
        name: of the list that is downloaded.
    """

    sources: Sources
    again: str = ""
    name: str = "corrected.csv"

    def html(self) -> str:
        """Returns the videos as json, the bar that counts the marks, and the script."""
        rows = [
            (path, label, split)
            for split, part in (("train", self.sources.train), ("val", self.sources.val))
            for path, label in part
        ]
        names = names_below([path for path, _, _ in rows]) if rows else {}
        root = rows[0][0][: len(rows[0][0]) - len(names[rows[0][0]])] if rows else ""
        classes = {label: number for number, label in enumerate(self.sources.labels)}
        content = json.dumps(
            {
                "name": self.name,
                "again": self.again,
                "root": root,
                "labels": list(self.sources.labels),
                "videos": [[names[path], classes[label], split] for path, label, split in rows],
            },
            separators=(",", ":"),
        )
        # no name may end the script
        content = content.replace("<", "\\u003c")
        script = Path(__file__).with_name("corrections.html").read_text(encoding="utf-8")
        return f'<script type="application/json" id="corrections">{content}</script>\n{script}'

    def numbers(self) -> dict[str, int]:
        """Returns the place of each video in the list."""
        paths = [path for path, _ in [*self.sources.train, *self.sources.val]]
        return {path: number for number, path in enumerate(paths)}


def clip_cards(
    clips: Sequence[tuple[str, str]], page: Path | None, numbers: dict[str, int] | None = None
) -> str:
    """Returns figures of clips, which play where their file can be reached from the page.

    Args:
        clips: path of each video, and the HTML of its caption.
        page: the file that the page is written to; None for animations alone.
        numbers: places of the videos in the list of :class:`Corrections`; None for no marks.
    """
    cards = [_card(video, caption, page, numbers or {}) for video, caption in clips]
    return f'<div class="clips">{"".join(cards)}</div>'


def _card(video: str, caption: str, page: Path | None, numbers: dict[str, int]) -> str:
    gif = clip_gif(video)
    image = '<span class="none"></span>'
    if gif is not None:
        data = base64.b64encode(gif).decode("ascii")
        image = f'<img src="data:image/gif;base64,{data}" alt="{text(video)}">'
    address = None if page is None else address_from(page, video)
    if address is not None:
        image = (
            f'<video src="{text(address)}" controls loop playsinline preload="none" hidden></video>'
            f'<button type="button" class="play" aria-label="play {text(video)}">{image}</button>'
        )
    fix = f'<div class="fix" data-video="{numbers[video]}"></div>' if video in numbers else ""
    return f"<figure>{image}<figcaption>{caption}</figcaption>{fix}</figure>"


def address_from(page: Path, video: str) -> str | None:
    """Returns the address of a file as a page refers to it, None for one that is not there, or on a server.

    It is relative, so that both may be moved together; from another disk it is a ``file:`` address.
    """
    if not os.path.isfile(video):
        return None
    try:
        path = os.path.relpath(os.path.abspath(video), os.path.abspath(page.parent))
    except ValueError:  # another disk of Windows
        return Path(os.path.abspath(video)).as_uri()
    return quote(os.fsencode(path.replace(os.sep, "/")))


def clip_gif(video: str, side: int = _GIF_SIDE, frames: int = _GIF_FRAMES) -> bytes | None:
    """Returns a small animated GIF of a whole video, or None for one that can no longer be read.

    Args:
        video: path of the file.
        side: shorter side in pixels; smaller videos keep their own size.
        frames: how many, spread evenly.
    """
    from pytorchvideo.data._decode import VideoError
    from pytorchvideo.data.visualize import gif_bytes, read_file

    try:
        clip = read_file(video, frames, end_sec=10.0)
    except (VideoError, OSError, ValueError):
        return None
    return gif_bytes(clip, fps=1000 / _GIF_MS, side=side, colors=64)


def players() -> str:
    """Returns the script that plays the clips of :func:`clip_cards`."""
    return Path(__file__).with_name("players.html").read_text(encoding="utf-8")
