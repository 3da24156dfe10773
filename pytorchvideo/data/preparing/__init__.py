# SPDX-License-Identifier: Apache-2.0
"""Preparation of data sets: encoding, shards, checks."""
