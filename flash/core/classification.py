# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.outputs`."""

from flash.outputs import (
    ClassesOutput,
    FiftyOneLabelsOutput,
    LabelsOutput,
    LogitsOutput,
    PredsOutput,
    ProbabilitiesOutput,
)
from flash.outputs import ClassesOutput as Classes
from flash.outputs import FiftyOneLabelsOutput as FiftyOneLabels
from flash.outputs import LabelsOutput as Labels
from flash.outputs import LogitsOutput as Logits
from flash.outputs import ProbabilitiesOutput as Probabilities

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
