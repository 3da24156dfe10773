# SPDX-License-Identifier: Apache-2.0
"""Download and upload of files of the Hugging Face Hub."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

#: Seconds in which the Hub must take a connection. Its own client tries for half a minute.
PATIENCE_SEC = 3.0


def hub_module() -> Any:
    """Returns ``huggingface_hub``.

    Raises:
        ImportError: it is not there.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "The Hugging Face Hub needs the package huggingface_hub. Install it with "
            'pip install "pytorchvideo[hf]", or use a folder.'
        ) from error
    return huggingface_hub


@contextmanager
def hub_errors(repo_id: str, advice: str) -> Iterator[None]:
    """Turns the errors of the Hub about a repository into Python's own.

    Args:
        repo_id: ``owner/name``.
        advice: what to do where the Hub cannot be reached.

    Raises:
        FileNotFoundError: it is not there, or not for this token, or has no such file.
        PermissionError: the token may not do that.
        ConnectionError: the Hub cannot be reached.
    """
    from huggingface_hub import errors

    try:
        yield
    except (errors.HFValidationError, errors.RepositoryNotFoundError) as error:
        raise FileNotFoundError(
            f"There is neither a folder nor a model {repo_id!r} on the Hub that this token may read. Expected a "
            "folder, or owner/name; private models need `hf auth login` or token=."
        ) from error
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise FileNotFoundError(
            f"{repo_id} has no such file or revision on the Hub: it is no saved model. "
            f"({_first_line(error)})"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise ConnectionError(_unreachable(repo_id, error, advice)) from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise PermissionError(
                f"The Hub does not let this token change {repo_id}. Run `hf auth login`, or give token= with the right "
                "to write."
            ) from error
        raise ConnectionError(_unreachable(repo_id, error, advice)) from error
    except errors.HTTPError as error:  # httpx's or httpx2's, by the version of huggingface_hub
        raise ConnectionError(_unreachable(repo_id, error, advice)) from error


def is_reachable(address: str) -> bool:
    """Whether a server takes a connection soon; behind a proxy, which may know it, that is taken for granted."""
    if getproxies():
        return True
    parts = urlsplit(address)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    reached = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname or "", port), PATIENCE_SEC).close()
        except OSError:
            return
        reached.set()

    # looking up a name has no limit of its own
    trying = threading.Thread(target=connect, daemon=True)
    trying.start()
    trying.join(PATIENCE_SEC)
    return reached.is_set()


def waiting_options() -> dict[str, Any]:
    """Returns the options of whatever downloads: without the Hub, only the cache is looked into, at once."""
    hub_module()
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or is_reachable(constants.ENDPOINT):
        return {}
    return {"local_files_only": True}


def download(repo_id: str, name: str, **options: Any) -> Path:
    """Returns a file of a model on the Hub, from the cache where it is there already.

    Raises:
        ImportError, FileNotFoundError, ConnectionError: see :func:`hub_module` and :func:`hub_errors`.
    """
    hub = hub_module()
    advice = (
        f"Where this machine is offline, run `hf download {repo_id} --local-dir FOLDER` on another one and give "
        "the folder."
    )
    waiting = waiting_options()
    try:
        with hub_errors(repo_id, advice):
            return Path(hub.hf_hub_download(repo_id, name, **{**waiting, **options}))
    except ConnectionError as error:
        if not waiting or options.get("local_files_only"):
            raise
        # its own sentence says how to go online, as if offline had been asked for
        reason = f"no connection within {PATIENCE_SEC:g} s, and none of it in the cache"
        raise ConnectionError(_unreachable(repo_id, TimeoutError(reason), advice)) from error


def upload(
    repo_id: str,
    folder: str | PathLike[str],
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str,
) -> str:
    """Makes a repository unless it is there, adds the files of a folder, and returns its address."""
    api = hub_module().HfApi(token=token)
    advice = "save_pretrained writes the same files into a folder, which `hf upload` takes later."
    with hub_errors(repo_id, advice):
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message)
    return str(url)


def _unreachable(repo_id: str, error: Exception, advice: str) -> str:
    return f"Could not reach the Hub for {repo_id!r} ({_first_line(error)}). {advice}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
