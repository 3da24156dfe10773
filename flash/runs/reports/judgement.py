# SPDX-License-Identifier: Apache-2.0
"""A judgement of a run in words: what its figures can be trusted for, what went wrong, what to do next."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from flash.runs.reports.commands import command
from flash.runs.reports.findings import MOST_HELD_OUT, Evidence, Finding, interval_words
from flash.runs.reports.overfitting import overfitting, still_falling
from pytorchvideo._text import are, counted
from pytorchvideo.evaluation.scores import confusion_counts
from pytorchvideo.evaluation.significance import wilson_interval

#: For --group-by, of names such as v_Archery_g01_c02.avi: all before the part and the numbers at the end.
NAMED_SOURCE = (
    r"([^/]*?)(?:[ ._-]*(?:c|clip|part|pt|seg|segment|scene|shot|take)?[ ._-]*\d+)?\.\w+$"
)
_WIDE = 0.2  # width of an interval that says little
_UNEVEN = 3.0  # how many times as many videos one class may have as another
_FEW = 5  # held-out videos of a class, below which its recall says nothing
_MISTAKEN = 0.2  # share of a class that is named as another one, from which that is worth a word


def judge(evidence: Evidence) -> list[Finding]:
    """Returns what there is to say, the worst first, and what to do next at the end."""
    found = [finding for check in _CHECKS if (finding := check(evidence)) is not None]
    kinds = {finding.kind for finding in found}
    if "one-class" in kinds:  # which says the same, and more
        found = [one for one in found if one.kind not in ("chance", "confused")]
    found.sort(key=lambda finding: finding.level != "problem")
    return [*found, _next(evidence, found)]


def _counts(evidence: Evidence) -> Counter[str]:
    return Counter(result.label for result in evidence.results)


def _one_class(evidence: Evidence) -> Finding | None:
    said = Counter(result.predicted for result in evidence.results)
    truly = _counts(evidence)
    if len(said) != 1 or len(truly) < 2:
        return None
    (label, total) = next(iter(said.items()))
    return Finding(
        "one-class",
        "problem",
        f"All {total} held-out videos were predicted as {label!r}, which is right for {truly[label]}: the model has "
        "not learnt to tell the classes apart.",
        *_better_start(evidence),
        figures={"class": label, "videos": total, "truly": truly[label]},
    )


def _better_start(evidence: Evidence) -> tuple[str, str | None]:
    config = evidence.config
    if config is not None and config.weights is None and not config.pretrained:
        return (
            "It started from random weights. Start from published ones, which need far fewer videos.",
            evidence.again("pretrained", pretrained=True),
        )
    if config is None:
        return "Look whether the classes of the data are those of the model.", None
    return "Train longer, at a third of the rate.", evidence.again(
        "longer", epochs=3 * (config.epochs or 1), lr=(config.lr or 1e-3) / 3
    )


def _chance(evidence: Evidence) -> Finding | None:
    truly = _counts(evidence)
    if len(truly) < 2:
        return None
    label, most = truly.most_common(1)[0]
    total, right = len(evidence.results), sum(result.correct for result in evidence.results)
    low, high = wilson_interval(right, total)
    share = most / total
    if low > share:
        return None
    return Finding(
        "chance",
        "problem",
        f"The result is not surely better than always naming the commonest class, {label!r}, which is right for "
        f"{share:.1%}: {interval_words(right, total)}.",
        *_better_start(evidence),
        figures={"commonest": label, "share": share, "low": low, "high": high},
    )


def _leak(evidence: Evidence) -> Finding | None:
    leaks = evidence.leaks
    if leaks is None:
        return None
    looked, trained = leaks.looked_at
    seen = (
        f"{looked} of {leaks.held_out} held-out and {trained} of {counted(leaks.trained_on, 'training video')} "
        "were compared"
        if (looked, trained) != (leaks.held_out, leaks.trained_on)
        else "all were compared"
    )
    figures = leaks.to_dict()
    advice = "Keep clips of one recording on one side: name it by what its files have in common"
    if leaks.names:
        some = ", ".join(repr(name) for name in leaks.sources[:3])
        text = (
            f"{len(leaks.names)} of {counted(leaks.held_out, 'held-out video')} {are(len(leaks.names))} named "
            "after a source that was trained on, "
            f"too ({some}): they may be clips of one recording, and the figures are then too high."
        )
        if leaks.twins and not leaks.one_place:
            text += f" {len(leaks.twins)} look like a training video."
        command = evidence.again("grouped", group_by=NAMED_SOURCE, **_unsplit(evidence))
        return Finding("leak", "problem", text, advice + ".", command, figures)
    if leaks.one_place:
        return Finding(
            "one-place",
            "caution",
            f"{leaks.alike:.0%} of the pairs of videos look alike, as those taken at one place do ({seen}): whether "
            "clips of one recording are on both sides of the split cannot be seen.",
            f"{advice} (--group-by), or list each video with its source (--groups).",
            figures=figures,
        )
    if not leaks.twins:
        return None
    one, other, _ = leaks.twins[0]
    return Finding(
        "leak",
        "problem",
        f"{len(leaks.twins)} of {counted(leaks.held_out, 'held-out video')} have frames like those of a training "
        f"video ({seen}), "
        f"as {Path(one).name} and {Path(other).name}: they may be clips of one recording, and the figures are then too "
        "high.",
        f"{advice} (--group-by), or by {evidence.recordings.name}, which lists what looks alike.",
        evidence.again(
            "grouped", groups=str(evidence.recordings), group_by=None, **_unsplit(evidence)
        ),
        figures,
    )


def _unsplit(evidence: Evidence) -> dict[str, str | None]:
    """What lets a run split its videos itself."""
    return {"data": str(evidence.videos), "val": None} if evidence.split_given else {}


def _small(evidence: Evidence) -> Finding | None:
    total, right = len(evidence.results), sum(result.correct for result in evidence.results)
    if not total:
        return None
    low, high = wilson_interval(right, total)
    counts = _counts(evidence)
    rare = [label for label in evidence.labels if counts[label] < _FEW]
    if high - low <= _WIDE:
        return None
    wanted = next(n for n in range(total, 100_000) if _width(right / total, n) <= _WIDE / 2)
    text = (
        f"Few videos are held out, {total}: the accuracy is {interval_words(right, total)}, and runs that differ by "
        "less cannot be told apart"
    )
    if rare:
        text += f"; {len(rare)} of {counted(len(evidence.labels), 'class')} have fewer than {_FEW}"
    advice, more = _more_held_out(evidence, right / total, wanted)
    return Finding(
        "small",
        "caution",
        f"{text}.",
        f"{advice} Compare runs on the same videos with `pytorchvideo compare`, which sees smaller differences.",
        more,
        {"right": right, "videos": total, "low": low, "high": high, "wanted": wanted, "rare": rare},
    )


def _more_held_out(evidence: Evidence, share: float, wanted: int) -> tuple[str, str | None]:
    """How to hold out about so many videos, or what can be had of it."""
    total = len(evidence.results)
    known = total + sum(evidence.trained_on.values())
    goal = (
        f"About {wanted} held-out videos would make the interval {100 * _WIDE / 2:.0f} points wide"
    )
    if (split := evidence.share_for(wanted, known)) is not None:
        more = evidence.again("more-held-out", val_split=split)
        return f"{goal}: `--val-split {split:g}` holds out so many.", more
    if evidence.config is None or evidence.split_given:
        return f"{goal}: {wanted - total} more than there are.", None
    lacking = math.ceil(wanted / MOST_HELD_OUT) - known
    if lacking <= 0:
        return f"{goal}.", None
    advice = f"{goal}, for which some {counted(lacking, 'video')} more would have to be collected (at 40 % held out)."
    if evidence.config.val_split >= MOST_HELD_OUT:
        return advice, None
    most = round(MOST_HELD_OUT * known)
    advice += (
        f" Of those that are there, `--val-split {MOST_HELD_OUT:g}` holds out about {most}: an interval of "
        f"{100 * _width(share, most):.0f} points."
    )
    return advice, evidence.again("more-held-out", val_split=MOST_HELD_OUT)


def _width(share: float, total: int) -> float:
    low, high = wilson_interval(round(share * total), total)
    return high - low


def _overfits(evidence: Evidence) -> Finding | None:
    found = overfitting(evidence.history)
    if found is None:
        return None
    return Finding(
        "overfitting",
        "caution",
        f"Overfitting from epoch {found.epoch}: since then the loss on training videos fell from {found.train[0]:.3f} "
        f"to {found.train[1]:.3f}, while that on held-out ones rose from {found.val[0]:.3f} to {found.val[1]:.3f}.",
        *_less_of_it(evidence, found.epoch),
        figures=found.to_dict(),
    )


def _less_of_it(evidence: Evidence, epoch: int) -> tuple[str, str | None]:
    config = evidence.config
    if config is None:
        return f"Stop at epoch {epoch}.", None
    if config.keep != "best":
        stop = {} if config.strategy == "probe" else {"early_stopping": config.early_stopping or 3}
        advice = "Keep the best epoch" + (
            ", and stop when the held-out loss falls no more." if stop else "."
        )
        return advice, evidence.again("best", keep="best", **stop)
    if config.strategy == "probe" or (config.mix and config.label_smoothing):
        return "The model is that of the best epoch already; more videos would help further.", None
    smoothing = config.label_smoothing or 0.1
    return (
        "The model is that of the best epoch already. Mixed clips and smoothed labels memorise less.",
        evidence.again("mixed", mix=True, label_smoothing=smoothing),
    )


def _underfits(evidence: Evidence) -> Finding | None:
    config = evidence.config
    fall = still_falling(evidence.history)
    if config is None or config.strategy == "probe" or fall is None:
        return None
    epochs, (first, last) = len(evidence.history), fall
    return Finding(
        "unfinished",
        "caution",
        f"The held-out loss was still falling when training ended, from {first:.3f} to {last:.3f} in epoch {epochs}.",
        "Go on with the run for as many epochs again.",
        command("train", "--resume", "--out", evidence.out, "--epochs", 2 * epochs),
        {"epochs": epochs, "before": first, "last": last},
    )


def _imbalance(evidence: Evidence) -> Finding | None:
    counts = {label: evidence.trained_on.get(label, 0) for label in evidence.labels}
    if not evidence.trained_on or len(counts) < 2:
        return None
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] < _UNEVEN * counts[least]:
        return None
    truly, hits = _counts(evidence), Counter(r.label for r in evidence.results if r.correct)
    large = counted(counts[most], "training video")
    text = f"The classes are uneven: {large} of {most!r}, {counts[least]} of {least!r}."
    if truly[least]:
        text += (
            f" {hits[least]} of {counted(truly[least], 'held-out video')} of {least!r} are right."
        )
    return Finding(
        "imbalance",
        "caution",
        text + " Accuracy counts the large classes most.",
        f"Collect more of {least!r}, let rare classes count more, and judge by recall and F1 of each class (below).",
        _weighed(evidence),
        figures={"most": most, "least": least, "counts": counts},
    )


def _weighed(evidence: Evidence) -> str | None:
    config = evidence.config
    if config is None or config.balanced or config.class_weights:
        return None
    if config.strategy == "probe":
        return evidence.again("weighed", class_weights=True)
    return evidence.again("balanced", balanced=True)


def _confused(evidence: Evidence) -> Finding | None:
    if not evidence.results or len(evidence.labels) < 2:
        return None
    counts = confusion_counts(evidence.results, evidence.labels)
    pairs = sorted(
        (
            (int(counts[i, j]), evidence.labels[i], evidence.labels[j], int(counts[i].sum()))
            for i in range(len(counts))
            for j in counts[i].nonzero()[0]
            if i != j and counts[i, j] >= max(2, _MISTAKEN * counts[i].sum())
        ),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    if not pairs:
        return None
    said = "; ".join(f"{n} of {of} {label!r} as {other!r}" for n, label, other, of in pairs[:3])
    more = f", and {counted(len(pairs) - 3, 'pair')} more" if len(pairs) > 3 else ""
    return Finding(
        "confused",
        "caution",
        f"Classes that are taken for others: {said}{more}.",
        "Play these clips below, mark what is labelled wrongly, and let the labels be reviewed.",
        evidence.review(),
        {
            "pairs": [
                {"label": label, "predicted": other, "videos": n, "of": of}
                for n, label, other, of in pairs
            ]
        },
    )


def _skips(evidence: Evidence) -> Finding | None:
    if not evidence.skipped:
        return None
    data = None if evidence.config is None else evidence.config.data
    return Finding(
        "skipped",
        "caution",
        f"{counted(evidence.skipped, 'video')} could not be read, which no figure counts.",
        "See the reasons below, and check the data.",
        None if data is None else command("check", data),
        {"videos": evidence.skipped},
    )


def judge_training(evidence: Evidence) -> list[Finding]:
    """Returns what there is to say whatever the labels are like: on the split, the losses and unread videos."""
    checks = (_leak, _overfits, _underfits, _skips)
    return [finding for check in checks if (finding := check(evidence)) is not None]


def next_finding(first: Finding) -> Finding:
    """Returns what to do next: about the first finding with a command."""
    return Finding(
        "next", "fine", f"Next: {first.advice}", command=first.command, figures={"on": first.kind}
    )


def _next(evidence: Evidence, found: Sequence[Finding]) -> Finding:
    """What to do next: about the first finding with a command, else with the model."""
    first = next((one for one in found if one.command is not None), None)
    if first is not None:
        return next_finding(first)
    text = (
        "Nothing that was looked at speaks against this result."
        if not found
        else "Next: look at the wrong clips."
    )
    if evidence.config is None:
        return Finding("next", "fine", text)
    return Finding(
        "next",
        "fine",
        text,
        "Have the labels reviewed, or use the model: `pytorchvideo predict` and `serve` take the run.",
        evidence.review(),
    )


_CHECKS: tuple[Callable[[Evidence], Finding | None], ...] = (
    _one_class,
    _leak,
    _chance,
    _overfits,
    _underfits,
    _small,
    _imbalance,
    _confused,
    _skips,
)
