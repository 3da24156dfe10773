# SPDX-License-Identifier: Apache-2.0
"""Published weights and files of weights."""
