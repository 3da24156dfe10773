# SPDX-License-Identifier: Apache-2.0
"""Helpers: optional packages, stages of a trainer."""
