# SPDX-License-Identifier: Apache-2.0
"""The server of a classifier: a page for people and a json API.

::

    GET  /                the page (Gradio): upload or record a video
    GET  /api/model       the labels, the clips that the model takes, and the limits
    POST /api/predict     a video file as the body of the request; json back
    GET  /health          {"status": "ok"}, without a token

    curl --data-binary @clip.mp4 http://127.0.0.1:7860/api/predict

A request that cannot be answered gets ``{"error": "one sentence"}`` with status 413 for a file that is too
large, 415 for a form instead of a file, 422 for a file that is no video or too long a one, 503 while as many
others wait as the limits say. See :mod:`flash.serve.guard` for what never comes so far.
"""

import asyncio
import logging
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flash._errors import UserError, user_errors
from flash.serve.guard import HEALTH, App
from flash.serve.markup import CSS, answer_html, error_html, head
from flash.serve.service import Service
from pytorchvideo._text import counted, markdown

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from gradio import Blocks

logger = logging.getLogger(__name__)

#: Seconds that requests have to end when the server is told to.
_GRACE_SEC = 3
# no sound: a machine with a camera and no microphone would record nothing
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}, "audio": False}
_NO_ANSWER = '<p class="pv-note">The answer comes here.</p>'
_NAMED = 20  # classes that the page lists
_INSTALL = "The server needs Gradio: pip install 'pytorchvideo[serve]'."


def build_app(service: Service, title: str, examples: Sequence[Path] = ()) -> "FastAPI":
    """Returns the server as an ASGI application.

    Args:
        service: answers the requests.
        title: what the page says of the model.
        examples: videos to click.

    Raises:
        ImportError: Gradio is not there.
    """
    try:
        import gradio
        from fastapi import FastAPI
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    app = FastAPI(title="pytorchvideo", docs_url=None, redoc_url=None)
    add_addresses(app, service)
    return gradio.mount_gradio_app(
        app,
        build_page(service, title, examples),
        path="/",
        css=CSS,
        head=head(service.limits.too_large),
        max_file_size=service.limits.max_bytes,
        # fonts of the reader's machine: nothing is fetched from elsewhere
        theme=gradio.themes.Default(font="system-ui", font_mono="monospace"),
        footer_links=[],
        ssr_mode=False,
    )


def run_app(app: App, listening: socket.socket) -> None:
    """Runs a server on a socket that :func:`flash.serve.guard.bind` returned, until it is interrupted."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE_SEC)
    uvicorn.Server(config).run(sockets=[listening])


def add_addresses(app: "FastAPI", service: Service) -> None:
    """Adds the addresses for programs.

    Requests wait their turn here, before they take a thread: the page's threads stay free, and whoever has gone in the
    meantime is not answered.
    """
    from fastapi import Request
    from fastapi.responses import JSONResponse
    from starlette.concurrency import run_in_threadpool

    turn = asyncio.Lock()
    waiting = 0

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "waiting": waiting})

    async def model(request: Request) -> JSONResponse:
        predictor = service.predictor
        return JSONResponse(
            {
                "labels": predictor.labels,
                "recipe": predictor.recipe.to_dict(),
                "limits": vars(service.limits),
            }
        )

    async def predict(request: Request) -> JSONResponse:
        nonlocal waiting
        if request.headers.get("content-type", "").startswith("multipart/"):
            return _refusal(415, "Expected the video file as the body of the request, not a form.")
        if waiting >= service.limits.max_waiting:
            return _refusal(503, f"{waiting} videos are waiting already. Try again later.")
        waiting += 1
        try:
            return await answer(request)
        finally:
            waiting -= 1

    async def answer(request: Request) -> JSONResponse:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "The file"  # as errors call it
            try:
                await _receive(request, service, path)
            except ValueError as error:
                return _refusal(413, str(error))
            async with turn:
                if await request.is_disconnected():
                    logger.info("A client went before its turn; its video is not looked at.")
                    return _refusal(499, "The client is gone.")
                try:
                    with user_errors():
                        found = await run_in_threadpool(service.answer, path)
                except UserError as error:
                    return _refusal(422, str(error).replace(str(path), path.name))
        return JSONResponse(service.to_dict(found))

    app.add_api_route(HEALTH, health, methods=["GET"])
    app.add_api_route("/api/model", model, methods=["GET"])
    app.add_api_route("/api/predict", predict, methods=["POST"])


async def _receive(request: "Request", service: Service, path: Path) -> None:
    """Writes the body to a file, but never more than the limit."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            service.limits.check_bytes(size)
            file.write(part)


def _refusal(status: int, sentence: str) -> "JSONResponse":
    from fastapi.responses import JSONResponse

    return JSONResponse({"error": sentence}, status_code=status)


def build_page(service: Service, title: str, examples: Sequence[Path] = ()) -> "Blocks":
    """Returns the page for people.

    Args:
        service: answers.
        title: what the page says of the model.
        examples: videos to click.
    """
    import gradio

    def show(video: str | None, explain: bool = False) -> str:
        if video is None:
            return error_html("Upload or record a video first.")
        try:
            with user_errors():
                answer = service.answer(video, explain=explain)
        except UserError as error:
            return error_html(str(error).replace(video, Path(video).name))
        return answer_html(answer, service.predictor.labels)

    limits = service.limits
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gradio.Markdown(
            f"# {markdown(title)}\n{_classes(service.predictor.labels)}\n\nA video of up to "
            f"{limits.max_seconds:g} s and {limits.size}. It is looked at on the machine that runs this page.",
            elem_classes="pv-classes",
        )
        with gradio.Row():
            with gradio.Column():
                video = gradio.Video(
                    label="Video",
                    elem_classes="pv-video",
                    sources=["upload", "webcam"],
                    webcam_options=gradio.WebcamOptions(mirror=False, constraints=_CAMERA),
                )
                explain = gradio.Checkbox(label="Show what the answer rests on")
                button = gradio.Button("What happens here?", variant="primary")
                if examples:
                    gradio.Examples(
                        [[str(path)] for path in examples],
                        video,
                        label="Held-out videos of the run",
                        api_visibility="private",
                    )
            with gradio.Column():
                answer = gradio.HTML(_NO_ANSWER, container=True, padding=True)
        button.click(show, [video, explain], answer, api_visibility="private")
        # an answer stands beside the video that it is about
        video.change(lambda: _NO_ANSWER, None, answer, api_visibility="private", queue=False)
    return page


def _classes(labels: Sequence[str]) -> str:
    """The classes in a sentence of markdown."""
    shown = ", ".join(markdown(label) for label in labels[:_NAMED])
    more = len(labels) - _NAMED
    return f"{counted(len(labels), 'class')}: {shown}" + (f" and {more} more." if more > 0 else ".")
