# SPDX-License-Identifier: Apache-2.0
"""Link to Label Studio."""
