# SPDX-License-Identifier: Apache-2.0
"""The error of all exports."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

_OPERATOR = re.compile(r"\b((?:aten|prims|torchvision|quantized_decomposed)(?:\.|::)\w+(?:\.\w+)?)")


class ExportError(RuntimeError):
    """A model could not be made into an artefact.

    The message is one sentence that names the operator, where it is known, and says what to try.
    """


@contextmanager
def export_errors(runtime: str, step: str, advice: str) -> Iterator[None]:
    """Turns whatever a converter raises into an :class:`ExportError`.

    Converters raise anything, from ``KeyError`` to classes of their own: the operator is read out of the text.

    Args:
        runtime: its name.
        step: what is done, e.g. ``"converted"``.
        advice: what to try, a sentence.
    """
    try:
        yield
    except ExportError:
        raise
    except ImportError as error:
        raise ExportError(
            f"{runtime} needs the package {error.name or error}. "
            'Install it with pip install "pytorchvideo[deploy]".'
        ) from error
    except Exception as error:
        raise ExportError(_sentence(runtime, step, error, advice)) from error


def _sentence(runtime: str, step: str, error: Exception, advice: str) -> str:
    """
    >>> _sentence("onnx", "converted", ValueError("No decompositions registered for aten::foo.out"), "Try openvino.")
    'The model could not be converted for onnx: the operator aten::foo.out stands in the way (ValueError: No
    decompositions registered for aten::foo.out). Try openvino.'
    """
    # what wraps an error may say less than the error itself
    chain = [error]
    while chain[-1].__cause__ is not None and isinstance(chain[-1].__cause__, Exception):
        chain.append(chain[-1].__cause__)
    error = next((one for one in reversed(chain) if _OPERATOR.search(str(one))), chain[-1])
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = _OPERATOR.search(text)
    # the line that names the operator says more than the first one
    line = next((line for line in lines if found and found[1] in line), lines[0] if lines else "")
    reason = f"{type(error).__name__}: {line[:300]}".rstrip(". :")
    what = f"the operator {found[1]} stands in the way ({reason})" if found else reason
    return f"The model could not be {step} for {runtime}: {what}. {advice}"
