# SPDX-License-Identifier: Apache-2.0
"""Model transmutation for any device."""
