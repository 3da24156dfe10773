# SPDX-License-Identifier: Apache-2.0
"""Action detection in videos: who does what, when."""
