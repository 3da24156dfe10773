# SPDX-License-Identifier: Apache-2.0
"""Explanations: maps of the parts of a clip that a score rests on."""
