# SPDX-License-Identifier: Apache-2.0
"""Reading of clips: from a labelled video to samples."""
