# SPDX-License-Identifier: Apache-2.0
"""Versions and hardware, for the report."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version


def environment() -> dict[str, str]:
    """Returns the versions and the machine that a report names; quick, tries nothing."""
    found = {"Python": platform.python_version(), "system": platform.platform()}
    packages = ("pytorchvideo", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "av")
    for package in (*packages, "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    import torch

    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    found["processors"] = f"{processors()} ({torch.get_num_threads()} used by torch)"
    return found


def processors() -> int:
    """Returns how many processors this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
