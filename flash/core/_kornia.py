# SPDX-License-Identifier: Apache-2.0
"""Alias of ``kornia.augmentation.augmentation``, so that Flash's documented transforms run as they are written.

Flash's video page says ``import kornia.augmentation as K`` and then ``K.augmentation.ColorJitter(...)``: the kornia of
its day had a module ``kornia.augmentation.augmentation``, today's has its classes directly in
``kornia.augmentation``. When the old name is missing it is made to mean the new place. Nothing else of
kornia is touched, and a kornia that has the name keeps it.
"""

import sys
from importlib import import_module
from importlib.util import find_spec


def register_kornia_alias() -> bool:
    """Makes ``kornia.augmentation.augmentation`` resolve; returns False where kornia is not installed."""
    if find_spec("kornia") is None:
        return False
    augmentation = import_module("kornia.augmentation")
    if not hasattr(augmentation, "augmentation"):
        # both spellings of user code: the attribute, and "from kornia.augmentation.augmentation import ..."
        augmentation.augmentation = augmentation  # type: ignore[attr-defined]
        sys.modules.setdefault("kornia.augmentation.augmentation", augmentation)
    return True
