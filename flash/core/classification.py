# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.outputs`."""

from flash.outputs import ClassesOutput, LabelsOutput, LogitsOutput, ProbabilitiesOutput
from flash.outputs import ClassesOutput as Classes
from flash.outputs import LabelsOutput as Labels
from flash.outputs import LogitsOutput as Logits
from flash.outputs import ProbabilitiesOutput as Probabilities

__all__ = [
    "Classes",
    "ClassesOutput",
    "Labels",
    "LabelsOutput",
    "Logits",
    "LogitsOutput",
    "Probabilities",
    "ProbabilitiesOutput",
]
