# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.data.targets`."""

from flash.data.targets import (
    CommaDelimitedMultiLabelTargetFormatter,
    MultiBinaryTargetFormatter,
    MultiLabelTargetFormatter,
    MultiNumericTargetFormatter,
    MultiSoftTargetFormatter,
    SingleBinaryTargetFormatter,
    SingleLabelTargetFormatter,
    SingleNumericTargetFormatter,
    SpaceDelimitedTargetFormatter,
    TargetFormatter,
)

__all__ = [
    "CommaDelimitedMultiLabelTargetFormatter",
    "MultiBinaryTargetFormatter",
    "MultiLabelTargetFormatter",
    "MultiNumericTargetFormatter",
    "MultiSoftTargetFormatter",
    "SingleBinaryTargetFormatter",
    "SingleLabelTargetFormatter",
    "SingleNumericTargetFormatter",
    "SpaceDelimitedTargetFormatter",
    "TargetFormatter",
]
