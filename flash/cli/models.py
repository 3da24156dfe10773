# SPDX-License-Identifier: Apache-2.0
"""The command ``models``."""

import json

import typer

from flash.cli import options as opt
from flash.cli.printing import answer_screen, zoo_table


def models(as_json: opt.AsJson = False) -> None:
    """List the models of the zoo with what is published of their weights."""
    from pytorchvideo.models._registry import get_weights, list_models

    zoo = [get_weights(name) for name in list_models()]
    if as_json:
        rows = [
            {
                "model": weights.name,
                "metrics": dict(weights.metrics),
                "protocol": weights.protocol,
                "gflops": weights.gflops,
                "num_parameters": weights.num_parameters,
                "num_classes": len(weights.labels),
                "recipe": weights.recipe.to_dict(),
                "licence": weights.licence,
                "source": weights.source,
                "url": weights.url,
                "sha256": weights.sha256,
            }
            for weights in zoo
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    answer_screen().print(zoo_table(zoo))
