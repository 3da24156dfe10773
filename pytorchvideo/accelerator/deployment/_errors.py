# SPDX-License-Identifier: Apache-2.0
"""The error of every way from a model to an artefact."""


class ExportError(RuntimeError):
    """A model could not be made into an artefact.

    The message is one sentence that names the operator, where it is known, and says what to try.
    """
