# SPDX-License-Identifier: Apache-2.0
"""Links to other tools."""
