# SPDX-License-Identifier: Apache-2.0
"""Labelled videos of the stages of a task, from folders, lists, tables, annotations and data sets."""
