# SPDX-License-Identifier: Apache-2.0
"""Evaluation: scores of predictions, predictions of labelled videos, probes of embeddings."""
