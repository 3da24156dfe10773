# SPDX-License-Identifier: Apache-2.0
"""The way of a trained model to a device."""
