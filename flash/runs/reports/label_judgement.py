# SPDX-License-Identifier: Apache-2.0
"""Findings on videos with several labels, for the judgement of a run."""

import math
from collections.abc import Sequence

from flash.runs.reports.findings import MOST_HELD_OUT, Evidence, Finding
from pytorchvideo._text import counted
from pytorchvideo.evaluation.multi_label import LabelScore, MultiLabelResult, label_scores

_FEW = 5  # videos with a label, below which its average precision says little
_TELLING = 2  # videos that have a label, from which it is worth a word that it is never predicted


def judge_labels(
    results: Sequence[MultiLabelResult], labels: Sequence[str], evidence: Evidence
) -> list[Finding]:
    """Returns what there is to say on the labels of the held-out videos.

    Args:
        results: at least one.
        labels: all labels of the model.
        evidence: of the training.
    """
    rows = label_scores(results, labels)
    same = _same_for_all(results, evidence)
    found = [_untrained(rows, evidence), same]
    if same is None:
        found.append(_none_or_all(rows, results, evidence))
    found.append(_small(rows, evidence))
    return [finding for finding in found if finding is not None]


def _untrained(rows: Sequence[LabelScore], evidence: Evidence) -> Finding | None:
    trained = evidence.trained_on
    untrained = [row.label for row in rows if trained and not trained.get(row.label, 0)]
    if not untrained:
        return None
    return Finding(
        "untrained",
        "problem",
        f"No training video has {_some(untrained)}: that cannot be learnt.",
        "Collect videos with it, or hold out others (another --seed).",
        figures={"labels": untrained},
    )


def _same_for_all(results: Sequence[MultiLabelResult], evidence: Evidence) -> Finding | None:
    """One answer for all held-out videos, which is none, some or all of the labels."""
    answers = {frozenset(result.predicted) for result in results}
    truths = [frozenset(result.truth) for result in results]
    if len(answers) > 1 or len(set(truths)) < 2:
        return None
    answer = answers.pop()
    held_out, threshold = counted(len(results), "held-out video"), results[0].threshold
    figures = {"labels": sorted(answer), "videos": len(results), "right": truths.count(answer)}
    if not answer:
        return Finding(
            "nothing-said",
            "problem",
            f"No label reaches the threshold of {threshold:g} for any of the {held_out}, so that nothing would be "
            "predicted.",
            *_weighed(evidence),
            figures,
        )
    names = [name for name in results[0].labels if name in answer]
    if len(names) == len(results[0].labels):
        said = f"to have every one of the {counted(len(names), 'label')}"
    else:
        said = f"as {_some(names)}{' alone' if len(names) == 1 else ', no more and no less'}"
    return Finding(
        "same-answer",
        "problem",
        f"All {held_out} were predicted {said}, which is right for {truths.count(answer)}: at the threshold of "
        f"{threshold:g} the model does not tell them apart.",
        *_weighed(evidence),
        figures,
    )


def _none_or_all(
    rows: Sequence[LabelScore], results: Sequence[MultiLabelResult], evidence: Evidence
) -> Finding | None:
    """Labels that are predicted for no video though some have them, or for all though some have not."""
    said = {row.label: sum(row.label in one.predicted for one in results) for row in rows}
    none = [row.label for row in rows if row.count >= _TELLING and not said[row.label]]
    always = [row.label for row in rows if row.count < len(results) == said[row.label]]
    if (not none and not always) or len(results) < _TELLING:
        return None
    parts = [f"{_some(none)} for none"] * bool(none) + [f"{_some(always)} for all"] * bool(always)
    return Finding(
        "none-or-all",
        "caution",
        f"Of the {counted(len(results), 'held-out video')} the model predicts {' and '.join(parts)}, unlike what they "
        "are labelled: see their average precision, which depends on no threshold.",
        *_weighed(evidence),
        {"none": none, "all": always},
    )


def _weighed(evidence: Evidence) -> tuple[str, str | None]:
    advice = "Train longer, or let rare labels count more."
    if evidence.config is None:
        return "Look whether the labels of the data are those of the model.", None
    if evidence.config.class_weights:
        return "Train longer.", evidence.again("longer", epochs=3 * (evidence.config.epochs or 1))
    return advice, evidence.again("weighed", class_weights=True)


def _small(rows: Sequence[LabelScore], evidence: Evidence) -> Finding | None:
    few = [row for row in rows if row.count < _FEW]
    if not few:
        return None
    total = {row.label: row.count + evidence.trained_on.get(row.label, 0) for row in few}
    shares = {label: evidence.share_for(_FEW, count) for label, count in total.items() if count}
    enough = {label: share for label, share in shares.items() if share is not None}
    advice, typed = [], None
    if enough:
        share = max(enough.values())
        advice.append(
            f"`--val-split {share:g}` would hold out about {_FEW} videos or more with {_some(list(enough))}."
        )
        typed = evidence.again("more-held-out", val_split=share)
    if lacking := [label for label in total if label not in enough]:
        wanted = math.ceil(_FEW / MOST_HELD_OUT)
        advice.append(
            f"Collect videos with {_some(lacking)}: with {wanted} of each, {_FEW} can be held out."
        )
    names = [row.label for row in few]
    return Finding(
        "small",
        "caution",
        f"Fewer than {_FEW} held-out videos have {_some(names)}, and the average precision of so few says "
        "little; labels that none has are left out of the mean.",
        " ".join(advice),
        typed,
        {"labels": names},
    )


def _some(labels: Sequence[str]) -> str:
    more = f" and {counted(len(labels) - 3, 'label')} more" if len(labels) > 3 else ""
    return ", ".join(repr(label) for label in labels[:3]) + more
