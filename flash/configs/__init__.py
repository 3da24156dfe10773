# SPDX-License-Identifier: Apache-2.0
"""Published training recipes as data: a yaml file each, read into typed dataclasses."""
