# SPDX-License-Identifier: Apache-2.0
"""Annotation files of data sets: tables, lists of videos and of frames."""
