# SPDX-License-Identifier: Apache-2.0
"""Examples of every command, shown below its ``--help``."""

#: By command: what it is for, and the line to type.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "demo": (
        ("Two minutes from nothing to a report", "pytorchvideo demo --out demo"),
        ("The same of who does what", "pytorchvideo demo --task detection --out figures"),
    ),
    "train": (
        ("A folder of videos per class", "pytorchvideo train clips --epochs 20 --out run"),
        (
            "A csv, recordings kept on one side",
            r"pytorchvideo train clips.csv --group-by 'person\d+' --val-split 0.2",
        ),
        (
            "A published recipe, with another rate",
            "pytorchvideo train clips --config slowfast_8x8_r50 --set optimizer.lr=0.05",
        ),
        (
            "Boxes of people with actions, a csv beside the videos",
            "pytorchvideo train boxes.csv --task detection --model slowfast_r50 --out run",
        ),
        (
            "A configuration of PySlowFast, and its lists",
            "pytorchvideo train lists --pyslowfast SLOW_8x8_R50.yaml SOLVER.BASE_LR 0.05",
        ),
        ("Go on where it stopped", "pytorchvideo train --resume --out run"),
    ),
    "evaluate": (
        ("The run in ./run", "pytorchvideo evaluate clips/val"),
        (
            "The protocol of the zoo, with a report",
            "pytorchvideo evaluate val.csv --model x3d_s --clips 10 --views 3 --out report",
        ),
    ),
    "reproduce": (
        ("The published test", "pytorchvideo reproduce x3d_s kinetics/val.csv --out x3d_s"),
        (
            "Own weights, go on where it stopped",
            "pytorchvideo reproduce slow_r50 val.csv --weights mine.pyth --workers 8 --resume",
        ),
        (
            "The second of four parts",
            "pytorchvideo reproduce x3d_s kinetics/val.csv --shard 2/4 --out x3d_s",
        ),
        (
            "A model without published views",
            "pytorchvideo reproduce i3d_inception clips --weights i3d.pth --protocol 10x3",
        ),
    ),
    "predict": (
        ("The run in ./run", "pytorchvideo predict new.mp4 --top 3"),
        (
            "A folder, into a table",
            "pytorchvideo predict videos --model x3d_s --out results.csv",
        ),
        (
            "Classes that are only named",
            "pytorchvideo predict new.mp4 --zero-shot 'archery, playing chess'",
        ),
    ),
    "explain": (
        ("The run in ./run", "pytorchvideo explain new.mp4 --out why"),
        (
            "All of it, for one class, beside a box",
            "pytorchvideo explain new.mp4 -m x3d_s --label archery --clips uniform --box 40,20,200,220 -o why",
        ),
    ),
    "embed": (
        ("All videos below a folder", "pytorchvideo embed videos -m x3d_s -o clips.safetensors"),
        (
            "Smaller clips, to a table",
            "pytorchvideo embed videos --run run --frames 8 --crop 128 -o clips.parquet",
        ),
    ),
    "detect": (
        ("The run in ./run, boxes of a file", "pytorchvideo detect new.mp4 --people people.csv"),
        (
            "AVA's classes, a detector of people, all videos of a folder",
            "pytorchvideo detect videos --model slowfast_r50_detection --out detected",
        ),
    ),
    "compare": (("Two runs on one page", "pytorchvideo compare runs/a runs/b --out compare.html"),),
    "review": (("Labels that look wrong", "pytorchvideo review run"),),
    "search": (("Like this video", "pytorchvideo search clips.safetensors new.mp4 --top 10"),),
    "probe": (
        ("Classes are the names of the folders", "pytorchvideo probe clips.safetensors"),
        ("Classes of a list", "pytorchvideo probe clips.safetensors --data clips.csv"),
    ),
    "export": (
        ("For any processor", "pytorchvideo export run --to onnx --out run-onnx"),
        (
            "In 8 bits for Intel's",
            "pytorchvideo export run --to openvino --int8 --calibrate clips --out run-int8",
        ),
    ),
    "timeline": (
        ("The run in ./run", "pytorchvideo timeline film.mp4 --out film"),
        (
            "The minutes 10 to 20, twice a second",
            "pytorchvideo timeline film.mp4 -m x3d_s --start 600 --end 1200 --every 0.5 -o film",
        ),
    ),
    "stream": (
        ("The first camera, the run in ./run", "pytorchvideo stream 0"),
        ("A camera of the network", "pytorchvideo stream rtsp://camera/1 -m x3d_s --every 2"),
        (
            "Raw frames of another program",
            "pytorchvideo stream - -m x3d_s --size 640x480 --rate 30",
        ),
    ),
    "serve": (
        ("A page for the run in ./run", "pytorchvideo serve"),
        ("On all addresses, with a token", "pytorchvideo serve -m x3d_s --host 0.0.0.0 --token s3"),
    ),
    "models": (
        ("All, with what they suit", "pytorchvideo models"),
        ("How fast two are here", "pytorchvideo models x3d_s slow_r50 --measure"),
    ),
    "configs": (
        ("All, with their data sets and figures", "pytorchvideo configs list"),
        ("Every value, by the name that --set takes", "pytorchvideo configs show slowfast_8x8_r50"),
        ("In what two differ", "pytorchvideo configs diff slow_8x8_r50 slow_4x16_r50"),
    ),
    "check": (
        ("All videos of a folder", "pytorchvideo check clips"),
        ("Keep bad ones from training", "pytorchvideo check clips --quarantine bad.txt"),
    ),
    "prepare": (
        ("Smaller and faster to read", "pytorchvideo prepare clips --out small --short-side 256"),
        ("Tar files", "pytorchvideo prepare clips --shards shards --max-size 500"),
    ),
    "doctor": (("For a report of a problem", "pytorchvideo doctor --json"),),
}


def epilog(command: str) -> str | None:
    """Returns the examples of a command as the end of its help."""
    if command not in EXAMPLES:
        return None
    lines = [f"{line}   [dim]{what}[/dim]" for what, line in EXAMPLES[command]]
    return "\n\n".join(["[bold]Examples[/bold]", *lines])
