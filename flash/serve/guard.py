# SPDX-License-Identifier: Apache-2.0
"""Access control of the server: allowed hosts and origins, tokens, and time limits of requests.

A page of another site, opened in a browser on this machine, can send requests to a server that listens on this machine
alone. Such requests carry that site's name in ``Origin``, or, after DNS rebinding, in ``Host``.
"""

import asyncio
import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

#: Answers anybody, for those who watch over the server.
HEALTH = "/health"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"0.0.0.0", "::", ""})
_COOKIE = "pytorchvideo_token"


class Guard:
    """An ASGI application around another one.

    A request from elsewhere gets status 403, one without the token 401, one whose body stops coming 408.

    Args:
        app: the server.
        host: the address that it listens on.
        allowed_hosts: names besides its own, of this machine's loopback, and, where it listens on all addresses, of
            these in numbers.
        token: what requests must show: ``Authorization: Bearer TOKEN``, or, in a browser, ``/?token=TOKEN`` once. None
            lets everybody in.
        idle_sec: the longest pause within a body.
        body_sec: the longest time that a body may take.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str = "127.0.0.1",
        allowed_hosts: Collection[str] = (),
        token: str | None = None,
        idle_sec: float = 20.0,
        body_sec: float = 600.0,
    ) -> None:
        self._app = app
        self._hosts = {name.lower().strip("[]") for name in (*allowed_hosts, host, *_LOOPBACK)}
        self._numbers = host in _ANY
        self._token = token
        self._idle_sec, self._body_sec = idle_sec, body_sec

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request, or lets the server answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        refused = self._refusal(scope, headers)
        if refused is None:
            await self._within_time(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refused)

    def _refusal(
        self, scope: Message, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]] | None:
        """Status, sentence and headers for a request that the server does not see."""
        if not self._knows(urlsplit(f"//{headers.get('host', '')}").hostname):
            sentence = (
                f"This server is not called {headers.get('host')!r}; --allow-host allows that."
            )
            return 403, sentence, {}
        origin = headers.get("origin")
        if origin is not None and not self._knows(urlsplit(origin).hostname):
            return 403, f"Requests of pages from {origin!r} are refused.", {}
        if self._token is None or scope["path"] == HEALTH:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._is_token(*query.get("token", [])):
            cookie = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            return 303, "", {"location": scope["path"], "set-cookie": cookie}
        kind, _, shown = headers.get("authorization", "").partition(" ")
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            morsel = None
        kept = [morsel.value] if morsel is not None else []
        if self._is_token(*([shown.strip()] if kind.lower() == "bearer" else []), *kept):
            return None
        sentence = "Expected the token of this server: Authorization: Bearer TOKEN, or /?token=TOKEN in a browser."
        return 401, sentence, {"www-authenticate": "Bearer"}

    def _knows(self, host: str | None) -> bool:
        if host is None:
            return False
        return host.lower() in self._hosts or (self._numbers and _is_number(host))

    def _is_token(self, *shown: str) -> bool:
        wanted = (self._token or "").encode()
        return any(hmac.compare_digest(one.encode(), wanted) for one in shown)

    async def _within_time(self, scope: Message, receive: Receive, send: Send) -> None:
        """Lets the server answer, and ends a request whose body stops coming."""
        stalled, has_begun = asyncio.Event(), False
        loop = asyncio.get_running_loop()
        deadline: float | None = loop.time() + self._body_sec

        async def timed_receive() -> Message:
            nonlocal deadline
            if deadline is None:  # the body is there: what comes next is the end of the connection
                return await receive()
            try:
                left = min(self._idle_sec, deadline - loop.time())
                message = await asyncio.wait_for(receive(), max(left, 0))
            except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
                stalled.set()
                await loop.create_future()  # this request is cancelled now
                raise
            if message["type"] != "http.request" or not message.get("more_body", False):
                deadline = None
            return message

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        answering = asyncio.ensure_future(self._app(scope, timed_receive, noted_send))
        waiting = asyncio.ensure_future(stalled.wait())
        try:
            await asyncio.wait({answering, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                _note_disconnect(answering, scope)
            elif not has_begun:
                sentence = "The request stopped coming before its end. Send it again."
                logger.warning("%s: a request stopped coming and was ended.", scope["path"])
                await _answer(send, 408, sentence, {"connection": "close"})
        finally:
            for task in (answering, waiting):
                task.cancel()
            await asyncio.gather(answering, waiting, return_exceptions=True)


def _note_disconnect(task: "asyncio.Future[None]", scope: Message) -> None:
    """Raises what the server raised, but for a client that is gone, which is one line in the log."""
    error = task.exception()
    if error is None:
        return
    from starlette.requests import ClientDisconnect

    if not isinstance(error, ClientDisconnect):
        raise error
    logger.warning("%s: the client is gone.", scope["path"])


async def _answer(send: Send, status: int, sentence: str, headers: dict[str, str]) -> None:
    body = json.dumps({"error": sentence}).encode() if sentence else b""
    sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket that has the address of a server; port 0 takes a free one.

    Raises:
        OSError: the port is used, or there is no such address here.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"There is no address {host!r} to serve on: {reason}.") from error
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen()
    except OSError as error:
        taken.close()
        reason = error.strerror or str(error)
        raise OSError(
            f"Cannot serve on {host}:{port}: {reason.lower()}. Choose another --port, or 0 for a free one."
        ) from error
    return taken
