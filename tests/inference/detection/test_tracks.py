# SPDX-License-Identifier: Apache-2.0
"""People over time: boxes between key times, stretches of actions, subtitles."""

import torch

from pytorchvideo.inference.detection.files import subtitles
from pytorchvideo.inference.detection.found import PersonScores, VideoActions
from pytorchvideo.inference.detection.tracks import Tracks


def row(time: float, person: int, left: float, *scores: float) -> PersonScores:
    box = (left, 0.0, left + 0.25, 1.0)
    return PersonScores(time, box, person, 1.0, torch.tensor(scores))


def actions(*rows: PersonScores, multi_label: bool = True) -> VideoActions:
    return VideoActions("a.mp4", ("run", "wave"), rows, 1.0, 0.5, multi_label)


def test_a_box_goes_from_one_place_to_the_next() -> None:
    tracks = Tracks(actions(row(0.5, 3, 0.0, 0.9, 0.1), row(1.5, 3, 0.5, 0.2, 0.8)))
    (shown,) = tracks.at(0.75)
    assert shown.box == (0.125, 0.0, 0.375, 1.0)
    assert [label for label, _ in shown.actions] == ["run"]
    (shown,) = tracks.at(1.25)
    assert [label for label, _ in shown.actions] == ["wave"]
    # held for half a second before the first and after the last
    assert tracks.at(0.0)[0].box[0] == 0.0
    assert tracks.at(2.0)[0].box[0] == 0.5
    assert tracks.at(2.1) == []


def test_somebody_who_was_away_does_not_glide_through_the_picture() -> None:
    tracks = Tracks(actions(row(0.5, 0, 0.0, 0.9, 0.0), row(5.5, 0, 0.5, 0.9, 0.0)))
    assert tracks.at(3.0) == []
    # one time that was missed is bridged
    tracks = Tracks(actions(row(0.5, 0, 0.0, 0.9, 0.0), row(2.5, 0, 0.5, 0.9, 0.0)))
    assert tracks.at(1.5)[0].box[0] == 0.25


def test_without_a_number_each_is_where_they_were_found() -> None:
    tracks = Tracks(actions(row(0.5, -1, 0.0, 0.9, 0.0), row(0.5, -1, 0.5, 0.0, 0.9)))
    assert [shown.box[0] for shown in tracks.at(0.6)] == [0.0, 0.5]
    assert tracks.at(1.2) == []
    assert tracks.segments() == []


def test_stretches_in_which_a_person_does_the_same() -> None:
    rows = [
        row(0.5, 0, 0.0, 0.9, 0.1),
        row(1.5, 0, 0.0, 0.7, 0.1),
        row(2.5, 0, 0.0, 0.6, 0.8),
        row(3.5, 0, 0.0, 0.1, 0.2),
        row(0.5, 1, 0.5, 0.1, 0.9),
    ]
    first, both, other = Tracks(actions(*rows)).segments()
    assert (first.start_sec, first.end_sec, first.labels) == (0.0, 2.0, ("run",))
    assert abs(first.scores[0] - 0.8) < 1e-6
    assert (both.start_sec, both.end_sec, both.labels) == (2.0, 3.0, ("wave", "run"))
    assert (other.person, other.labels) == (1, ("wave",))


def test_one_action_at_a_time() -> None:
    found = actions(row(0.5, 0, 0.0, 0.6, 0.7), multi_label=False)
    assert [label for label, _ in found.actions(found.rows[0])] == ["wave"]


def test_subtitles_are_by_time_and_without_tags() -> None:
    rows = [row(0.5, 1, 0.0, 0.9, 0.1), row(0.5, 0, 0.0, 0.9, 0.75)]
    text = subtitles(Tracks(actions(*rows)).segments())
    assert text == (
        "1\n00:00:00,000 --> 00:00:01,000\nperson 0: run 90%, wave 75%\n\n"
        "2\n00:00:00,000 --> 00:00:01,000\nperson 1: run 90%\n\n"
    )
