# SPDX-License-Identifier: Apache-2.0
"""A local server for a trained classifier."""
