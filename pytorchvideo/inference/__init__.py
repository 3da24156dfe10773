# SPDX-License-Identifier: Apache-2.0
"""Trained models on videos: predictions, embeddings, timelines, streams and exports."""
