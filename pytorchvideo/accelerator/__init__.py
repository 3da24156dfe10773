# SPDX-License-Identifier: Apache-2.0
"""Models made fast on the processors that they are used on."""
