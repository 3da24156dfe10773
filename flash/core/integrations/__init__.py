# SPDX-License-Identifier: Apache-2.0
"""Old import paths of Flash's links to other tools."""
