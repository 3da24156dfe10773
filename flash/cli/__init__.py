# SPDX-License-Identifier: Apache-2.0
"""The command line, ``pytorchvideo``: a file for each command."""
