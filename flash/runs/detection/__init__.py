# SPDX-License-Identifier: Apache-2.0
"""Runs of action detectors: data, training, evaluation."""
