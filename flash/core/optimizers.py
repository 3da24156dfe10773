# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.layerwise`."""

from flash.layerwise import LAMB, LARS, LinearWarmupCosineAnnealingLR

__all__ = ["LAMB", "LARS", "LinearWarmupCosineAnnealingLR"]
