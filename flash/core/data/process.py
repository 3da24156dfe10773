# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.outputs`, where a serializer is called an output."""

from flash.outputs import Output as Serializer

__all__ = ["Serializer"]
