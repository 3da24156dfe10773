# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.core.data.io.output`."""

from flash.core.data.io.output import (
    ClassesOutput,
    FiftyOneLabelsOutput,
    LabelsOutput,
    LogitsOutput,
    PredsOutput,
    ProbabilitiesOutput,
)
from flash.core.data.io.output import ClassesOutput as Classes
from flash.core.data.io.output import FiftyOneLabelsOutput as FiftyOneLabels
from flash.core.data.io.output import LabelsOutput as Labels
from flash.core.data.io.output import LogitsOutput as Logits
from flash.core.data.io.output import ProbabilitiesOutput as Probabilities

__all__ = [
    "Classes",
    "ClassesOutput",
    "FiftyOneLabels",
    "FiftyOneLabelsOutput",
    "Labels",
    "LabelsOutput",
    "Logits",
    "LogitsOutput",
    "PredsOutput",
    "Probabilities",
    "ProbabilitiesOutput",
]
