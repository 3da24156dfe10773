# SPDX-License-Identifier: Apache-2.0
"""Old import paths of Flash; each module here re-exports from its new home."""
