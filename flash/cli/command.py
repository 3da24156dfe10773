# SPDX-License-Identifier: Apache-2.0
"""The class of every command: a first line before slow imports, its most important options first, examples last."""

import re
import shlex
import sys
from typing import Any

from typer.core import TyperCommand, TyperOption

from flash.cli.printing import say

#: The panel of the options that are about no subject of their own; the last one.
OTHER = "Other"
#: What a command says before it imports PyTorch.
IMPORTING = "importing PyTorch, which takes some seconds"
# arguments of Python whose options have another name, by that of the option's parameter
_OTHER_NAMES = {
    "num_frames": "frames",
    "crop_size": "crop",
    "top_k": "top",
    "max_bytes": "max_size",
    "file": "out",
}
_TYPED = f"{__name__}.typed"  # of a context
# the first says more, and sooner; the other needs no PyTorch
_SPEAKS_ITSELF = ("train", "configs")


class Command(TyperCommand):
    """A command that is never silent for long, whose ``--help`` begins with what must be given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            _into_last_panel(parameter)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters in the order of ``--help``: those of the last panel last."""
        found: list[Any] = list(super().get_params(ctx))
        return sorted(found, key=lambda one: getattr(one, "rich_help_panel", None) == OTHER)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help`` itself."""
        option = super().get_help_option(ctx)
        _into_last_panel(option)
        return option

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Reads the arguments, and keeps them as they were typed."""
        typed = shlex.join(["pytorchvideo", info_name or "", *args])
        made = super().make_context(info_name, args, parent, **extra)
        made.meta[_TYPED] = typed
        return made

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        if "torch" not in sys.modules and ctx.info_name not in _SPEAKS_ITSELF:
            say(f"{ctx.info_name}: {IMPORTING}")
        return super().invoke(ctx)


def as_typed(ctx: Any) -> str | None:
    """Returns the command as it was typed."""
    typed: str | None = ctx.meta.get(_TYPED)
    return typed


def in_words_of(command: Any, sentence: str) -> str:
    """Returns a sentence in which arguments of Python are the options of a command.

    They stand between backticks, and are called as the option is, or with the unit behind it, or by a name in
    ``_OTHER_NAMES``. What the command has no option for stays as it is.
    """
    options = {
        one.name: max(one.opts, key=len)
        for one in command.params
        if one.param_type_name == "option"
    }

    def option(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        known = (
            options.get(one) for one in (name, name.removesuffix("_sec"), _OTHER_NAMES.get(name))
        )
        return next((f"`{one}`" for one in known if one is not None), found[0])

    return re.sub("`([a-z][a-z_-]*)`", option, sentence)


def _into_last_panel(parameter: Any) -> None:
    is_free = isinstance(parameter, TyperOption) and not parameter.required
    if is_free and parameter.rich_help_panel is None:
        parameter.rich_help_panel = OTHER
