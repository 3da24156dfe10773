# SPDX-License-Identifier: Apache-2.0
"""Accuracy of probes on embeddings of a trained model.

One clip of each video is embedded, then linear and attentive probes are trained on 75 % of the videos and asked
about the others, ten times with each of two seeds.

    python benchmarks/probe.py VIDEOS --weights i3d_inception_rgb_kinetics400.pth [--embeddings FILE]

VIDEOS is a folder per class. ``--embeddings`` keeps the vectors, or takes those that are there.
"""

import argparse
from pathlib import Path

import torch
from _report import write

from pytorchvideo.data.preparing.check import videos_of
from pytorchvideo.evaluation.probe import KINDS, labels_by_folder, probe
from pytorchvideo.inference.embeddings import Embeddings, embed
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.transforms.clip_recipe import sized

MODEL, FRAMES = "i3d_inception", 32


def main() -> None:
    """Prints a table and writes ``results/probe.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("videos")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--embeddings", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.embeddings is not None and args.embeddings.exists():
        known = Embeddings.load(args.embeddings)
    else:
        predictor = load_predictor(MODEL, weights=args.weights)
        predictor.recipe = sized(predictor.recipe, frames=FRAMES)
        known, _ = embed(predictor, videos_of(args.videos), clips=1)
        if args.embeddings is not None:
            known.save(args.embeddings)
    rows = []
    print("probe      seed  accuracy  deviation")
    for kind in KINDS:
        for seed in (0, 100):
            found = probe(known, labels_by_folder(known.videos), kind=kind, splits=10, seed=seed)
            print(f"{kind:10s} {seed:4d}  {found.mean:8.1%}  {found.deviation:9.1%}")
            rows.append({"seed": seed, **found.to_dict()})
    print(write("probe", {"model": MODEL, "frames": FRAMES, "probes": rows}))


if __name__ == "__main__":
    main()
