# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is ``pytorch_lightning.trainer.states``."""

from pytorch_lightning.trainer.states import RunningStage

__all__ = ["RunningStage"]
