# SPDX-License-Identifier: Apache-2.0
"""Deployment of trained models."""
