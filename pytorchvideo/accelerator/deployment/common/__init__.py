# SPDX-License-Identifier: Apache-2.0
"""What is the same for all devices."""
