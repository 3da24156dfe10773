# SPDX-License-Identifier: Apache-2.0
"""Reports on runs: one run judged, several compared, labels reviewed."""
