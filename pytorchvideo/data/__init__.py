# SPDX-License-Identifier: Apache-2.0
"""Readers, samplers and datasets: from video files to samples."""
