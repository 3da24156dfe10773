# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.visualize`."""

from flash.visualize import App, launch_app

__all__ = ["App", "launch_app"]
