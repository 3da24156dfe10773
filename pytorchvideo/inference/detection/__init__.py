# SPDX-License-Identifier: Apache-2.0
"""Action detection in videos: people, boxes and their actions over time."""
