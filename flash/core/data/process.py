# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.core.data.io.output`, where a serializer is called an output."""

from flash.core.data.io.output import Output as Serializer

__all__ = ["Serializer"]
