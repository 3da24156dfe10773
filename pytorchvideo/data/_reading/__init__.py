# SPDX-License-Identifier: Apache-2.0
"""From a labelled video to its samples."""
