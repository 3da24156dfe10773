# SPDX-License-Identifier: Apache-2.0
"""Access to a server, requests that stall or go, and its response times; over real sockets of this machine."""

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest

from flash.serve.app import add_addresses
from flash.serve.guard import Guard, bind
from flash.serve.service import Limits


class SlowService:
    """Takes as long for each video as its first byte says, in tenths of a second."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.predictor = SimpleNamespace(labels=["a"], recipe=SimpleNamespace(to_dict=dict))
        self.seen: list[bytes] = []

    def answer(self, path: Any) -> bytes:
        body = path.read_bytes()
        self.seen.append(body)
        time.sleep(int(body[:1]) / 10)
        return body

    def to_dict(self, answer: bytes) -> dict[str, Any]:
        return {"answer": answer.decode()}


@contextlib.contextmanager
def served(service: SlowService | None = None, **options: Any) -> Iterator[int]:
    """The port of a server with the addresses for programs, in a thread."""
    uvicorn = pytest.importorskip("uvicorn")
    app = pytest.importorskip("fastapi").FastAPI()
    add_addresses(app, service or SlowService())
    listening = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        Guard(app, **options), log_level="warning", timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def ask(
    port: int, path: str = "/health", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, json and headers of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            "GET" if body is None else "POST",
            path,
            body,
            {k.replace("_", "-"): v for k, v in headers.items()},
        )
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else {}, dict(reply.getheaders())
    finally:
        connection.close()


def test_health() -> None:
    with served() as port:
        assert ask(port)[:2] == (200, {"status": "ok", "waiting": 0})


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"Host": "localhost:1"}, 200),
        ({}, {"Host": "[::1]:1"}, 200),
        ({}, {"Host": "evil.example"}, 403),
        ({}, {"Host": "127.0.0.1.evil.example"}, 403),
        ({}, {"Host": "192.0.2.1"}, 403),
        ({}, {"Host": ""}, 403),
        ({"allowed_hosts": ["Video.example"]}, {"Host": "video.example:80"}, 200),
        ({"host": "0.0.0.0"}, {"Host": "192.0.2.1:7860"}, 200),
        ({"host": "0.0.0.0"}, {"Host": "evil.example"}, 403),
        ({}, {"Origin": "http://localhost:7860"}, 200),
        ({}, {"Origin": "https://evil.example"}, 403),
        ({}, {"Origin": "null"}, 403),
    ],
)
def test_hosts_and_origins(options: dict[str, Any], headers: dict[str, str], status: int) -> None:
    with served(**options) as port:
        got, answer, _ = ask(port, **headers)
        assert got == status, answer
        assert status == 200 or "error" in answer


def test_token() -> None:
    with served(token="secret") as port:
        assert ask(port)[0] == 200  # its health is no secret
        status, answer, headers = ask(port, "/api/model")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer TOKEN" in answer["error"]
        assert ask(port, "/api/model", Authorization="Bearer wrong")[0] == 401
        assert ask(port, "/api/model", Authorization="Basic secret")[0] == 401
        assert ask(port, "/api/model", Authorization="Bearer secret")[0] == 200
        status, _, headers = ask(port, "/api/model?token=secret")
        assert (status, headers["location"]) == (303, "/api/model")
        cookie = headers["set-cookie"].partition(";")[0]
        assert ask(port, "/api/model", Cookie=cookie)[0] == 200
        assert ask(port, "/api/model", Cookie="pytorchvideo_token=other")[0] == 401


@pytest.mark.serial
@pytest.mark.parametrize("options", [{"idle_sec": 0.3}, {"body_sec": 0.3}])
def test_uploads_that_stall(options: dict[str, float], caplog: pytest.LogCaptureFixture) -> None:
    service = SlowService()
    with served(service, **options) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stalled:
            stalled.sendall(
                b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n0abc"
            )
            start = time.monotonic()
            assert stalled.recv(100).startswith(b"HTTP/1.1 408")
            assert 0.2 < time.monotonic() - start < 5
        assert ask(port, "/api/predict", b"0")[:2] == (200, {"answer": "0"})
    assert service.seen == [b"0"]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "/api/predict: a request stopped coming and was ended."
    ]


@pytest.mark.serial
def test_stalled_uploads_do_not_hold_up_the_end() -> None:
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(served())
        for _ in range(30):
            stalled = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stalled.sendall(
                b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            )
        assert ask(port)[0] == 200
        start = time.monotonic()
        # the sockets are closed after the server has ended
        server = stack.pop_all()
        server.close()
        assert time.monotonic() - start < 8


def test_clients_that_go_are_one_line_and_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    service = SlowService()
    with served(service) as port:
        with socket.create_connection(("127.0.0.1", port)) as gone:  # in the middle of its body
            gone.sendall(
                b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n0"
            )
            time.sleep(0.2)
        first = threading.Thread(target=ask, args=(port, "/api/predict", b"5first"))
        first.start()
        while not service.seen:
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", port)) as gone:  # while it waits
            gone.sendall(
                b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n0bad"
            )
            while ask(port)[1]["waiting"] < 2:
                time.sleep(0.01)
        assert ask(port, "/api/predict", b"0last")[0] == 200
        first.join()
    assert service.seen == [b"5first", b"0last"]
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == ["/api/predict: the client is gone."]


@pytest.mark.serial
def test_waiting_uploads_do_not_hold_up_the_page() -> None:
    service = SlowService(max_waiting=50)
    with served(service) as port:
        threads = [
            threading.Thread(target=ask, args=(port, "/api/predict", b"1")) for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        while ask(port)[1]["waiting"] < 40:
            time.sleep(0.01)
        start = time.monotonic()
        assert ask(port, "/api/model")[0] == 200
        assert time.monotonic() - start < 1
        for thread in threads:
            thread.join()
    assert len(service.seen) == 50


def test_too_many_wait() -> None:
    service = SlowService(max_waiting=1)
    with served(service) as port:
        first = threading.Thread(target=ask, args=(port, "/api/predict", b"5"))
        first.start()
        while not service.seen:
            time.sleep(0.01)
        status, answer, _ = ask(port, "/api/predict", b"0")
        assert (status, answer["error"]) == (503, "1 videos are waiting already. Try again later.")
        first.join()


def test_a_port_that_is_used() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"Cannot serve on 127.0.0.1:{port}: address already in"):
            bind("127.0.0.1", port)
    with pytest.raises(OSError, match="no address 'no such name' to serve on"):
        bind("no such name", 0)
