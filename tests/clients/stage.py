"""The stage: what tests in other languages run against, over a control port. Bodies and answers are JSON.

    POST   /players {"wrong": null}      -> {"id", "address"}. Plays the vectors; "wrong" (see tests/vectors/wrong.py):
                                            the vector resume_net_change so altered that a runner must notice
    GET    /players/ID/mismatches        -> the requests that were not what a vector says
    DELETE /players/ID
    POST   /servers {..}                 -> {"id", "address", "http_address", "tls", "tokens"}. A real server over a
                                            directory; all members of the request may be left out:
               "args": [..]                 more flags of `tesseract-grpc serve`
               "proxy": true                addresses are those of a proxy before it
               "http": true                 with the port for browsers and curl
               "tls": true or "mutual"      "tls" of the answer names PEM files: "ca"; for "mutual" "cert" and "key"
               "token": true                "tokens" of the answer has one for each role: read, write, admin
    POST   /servers/ID/kill              SIGKILL; answers when it is dead
    POST   /servers/ID/stop              SIGTERM; answers when it has ended in order
    POST   /servers/ID/start             at the same addresses; answers when it serves
    POST   /servers/ID/freeze, /thaw     SIGSTOP and SIGCONT
    POST   /servers/ID/blackhole, /heal  the proxy holds back everything, in both directions, and lets it through again
    POST   /servers/ID/cut               the proxy breaks all connections
    GET    /servers/ID                   -> the same as POST /servers, and "connections": how many the proxy has taken
    POST   /servers/ID/errors            -> {"calls": [{"name", "reason", "method", "request", "address", "token",
                                            "error"}]}: calls that are refused, and what a client must show of them. The
                                            scene needs several servers; each call says which one it is for. `request`
                                            is base64; `token` is null or a bearer token. They end with the server
    DELETE /servers/ID

What cannot be done is answered with 400, what is not there with 404, and {"error": ".."}.
"""

from __future__ import annotations

import itertools
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.clients.control import controlling
from tests.clients.errors import Scene
from tests.clients.servers import StagedServer, StageError, Zygote
from tests.server.support import write_tokens
from tests.vectors.player import Player, playing
from tests.vectors.vector import load_all
from tests.vectors.wrong import WRONG, WRONG_ONE, altered

ROUTE = re.compile(r"/(?P<kind>players|servers)(?:/(?P<id>[^/]+)(?:/(?P<action>[a-z]+))?)?/?")
ROLES = ("read", "write", "admin")
SIGNALS = {"freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}
OPTIONS = {"args", "proxy", "http", "tls", "token"}

Json = dict[str, Any]


class Stage:
    """All players and servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._players: dict[str, tuple[Player, AsyncExitStack]] = {}
        self._wrong_players: dict[str, str] = {}
        self._servers: dict[str, StagedServer] = {}
        self._scenes: dict[str, Scene] = {}
        self._authority = trustme.CA()
        self.played: set[str] = set()
        """The vectors that a player has played to their end, and as they are."""
        self.tried: set[str] = set()
        """The ways in which a vector was played wrongly."""
        self.used: set[str] = set()
        """What servers were made to do, and the options with which they were made."""
        self._zygote = Zygote()

    async def handle(self, method: str, path: str, body: Json) -> Any:
        """One request."""
        found = ROUTE.fullmatch(path)
        if found is None:
            raise LookupError(f"path {path}")
        kind, id, action = found["kind"], found["id"], found["action"]
        ask = getattr(self, f"_{kind}_{action or ('one' if id else 'all')}_{method}".lower(), None)
        if ask is None and kind == "servers" and id and action and method == "POST":
            return await self._command(self._server(id), action)
        if ask is None:
            raise LookupError(f"{method} {path}")
        return await (ask(id, body) if id else ask(body))

    async def close(self) -> None:
        """Ends everything."""
        for scene in self._scenes.values():
            await scene.close()
        for server in self._servers.values():
            await server.close()
        await self._zygote.close()
        for id in list(self._players):
            await self._players_one_delete(id, {})

    # Players

    async def _players_all_post(self, body: Json) -> Json:
        wrong = body.get("wrong")
        if wrong is not None and wrong not in WRONG:
            raise StageError(f"'wrong' is one of {', '.join(WRONG)}")
        vectors = [altered(vector, wrong) if wrong and vector.name == WRONG_ONE else vector for vector in load_all()]
        stack, id = AsyncExitStack(), f"player{next(self._numbers)}"
        player = await stack.enter_async_context(playing(vectors))
        self._players[id] = (player, stack)
        if wrong:
            self._wrong_players[id] = wrong
        return {"id": id, "address": player.address}

    def _player(self, id: str) -> Player:
        if id not in self._players:
            raise LookupError(f"player {id}")
        return self._players[id][0]

    async def _players_mismatches_get(self, id: str, _: Json) -> list[str]:
        return self._player(id).mismatches

    async def _players_one_delete(self, id: str, _: Json) -> Json:
        player, wrong = self._player(id), self._wrong_players.get(id)
        if wrong is None:
            self.played |= player.finished()
        elif player.calls:
            self.tried.add(wrong)
        await self._players.pop(id)[1].aclose()
        return {}

    # Servers

    async def _servers_all_post(self, body: Json) -> Json:
        if unknown := body.keys() - OPTIONS:
            raise StageError(f"unknown members: {', '.join(sorted(unknown))}")
        self.used |= {name for name, value in body.items() if value}
        id = f"server{next(self._numbers)}"
        folder = self._folder / id
        folder.mkdir()
        flags, extra = list(body.get("args", [])), {}
        if tls := body.get("tls"):
            extra["tls"], more = self._certificates(folder, mutual=tls == "mutual")
            flags += more
        if body.get("token"):
            extra["tokens"] = {role: f"{role}-token-000000" for role in ROLES}
            flags += ["--token-file", str(write_tokens(folder))]
        server = StagedServer(self._zygote, folder, flags, http=bool(body.get("http")))
        server.extra = extra
        await server.start()
        if body.get("proxy"):
            await server.put_proxies()
        self._servers[id] = server
        return await self._servers_one_get(id, {})

    def _server(self, id: str) -> StagedServer:
        if id not in self._servers:
            raise LookupError(f"server {id}")
        return self._servers[id]

    async def _servers_one_get(self, id: str, _: Json) -> Json:
        server = self._server(id)
        connections = sum(proxy.connections for proxy in server.proxies)
        return {"id": id, **server.addresses, "tls": None, "tokens": None, "connections": connections, **server.extra}

    async def _servers_one_delete(self, id: str, _: Json) -> Json:
        server = self._server(id)
        del self._servers[id]
        if scene := self._scenes.pop(id, None):
            await scene.close()
        await server.close()
        return {}

    async def _servers_errors_post(self, id: str, _: Json) -> Json:
        self.used.add("errors")
        folder = self._server(id).folder / "errors"
        if id not in self._scenes:
            self._scenes[id] = Scene(self._zygote, folder)
            await self._scenes[id].set_up()
        return {"calls": await self._scenes[id].calls()}

    async def _command(self, server: StagedServer, action: str) -> Json:
        self.used.add(action)
        if action == "kill":
            await server.kill()
        elif action == "stop":
            await server.kill(signal.SIGTERM)
        elif action == "start":
            await server.start()
        elif action in SIGNALS:
            server.send(SIGNALS[action])
        elif action in ("blackhole", "heal", "cut"):
            if not server.proxies:
                raise StageError("the server has no proxy")
            for proxy in server.proxies:
                getattr(proxy, action)()
        else:
            raise LookupError(f"command {action}")
        return {}

    def _certificates(self, folder: Path, *, mutual: bool) -> tuple[Json, list[str]]:
        """What clients must know, and the flags of the server."""
        ca, cert, key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        self._authority.cert_pem.write_to_path(str(ca))
        own = self._authority.issue_cert("localhost", "127.0.0.1")
        own.private_key_pem.write_to_path(str(key))
        cert.write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
        flags = ["--tls-cert", str(cert), "--tls-key", str(key)]
        if not mutual:
            return {"ca": str(ca), "cert": None, "key": None}, flags
        client = self._authority.issue_cert("client.example")
        client_cert, client_key = folder / "client.pem", folder / "client.key"
        client.private_key_pem.write_to_path(str(client_key))
        client_cert.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
        told = {"ca": str(ca), "cert": str(client_cert), "key": str(client_key)}
        return told, [*flags, "--tls-client-ca", str(ca)]


@asynccontextmanager
async def staged(port: int = 0) -> AsyncIterator[str]:
    """A stage; gives the address of its control port."""
    with tempfile.TemporaryDirectory(prefix="stage-") as folder:
        stage = Stage(Path(folder))
        try:
            async with controlling(stage.handle, port) as address:
                yield address
        finally:
            await stage.close()
