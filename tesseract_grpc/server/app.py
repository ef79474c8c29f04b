"""The server: configuration in, a served port out, and an orderly end.

    async with Server(ServerConfig(listen="127.0.0.1:0")) as server:
        print(server.address)

`serve` is what the command runs: it sets the logs up, serves until SIGTERM or SIGINT, and drains.

A drain goes in this order: health says NOT_SERVING; new calls are refused with SERVER_SHUTTING_DOWN; every watch is
given what it is still owed and ends with the same reason, so that its client stands at a consistent point; calls in
progress finish. After `drain_timeout` what is left is cut off.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from tesseract_grpc import __version__
from tesseract_grpc.engine.data.commit_log import LogDamaged, LogFailed
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.expression.parse import warm_up
from tesseract_grpc.server import address, log_opening, logs, tls
from tesseract_grpc.server.auth import TokenInterceptor
from tesseract_grpc.server.changes import BEHAVIOURS
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.collector import calm, keep_collecting
from tesseract_grpc.server.config import ConfigError, ServerConfig
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.gate import Gate, shutting_down
from tesseract_grpc.server.health import Health
from tesseract_grpc.server.host import Clock, Host, Hosts, OpenLog, keep_ticking
from tesseract_grpc.server.journal import JournalState, Recovery
from tesseract_grpc.server.log_opening import open_log
from tesseract_grpc.server.methods import build_handlers
from tesseract_grpc.server.metrics.endpoint import Endpoint, SampleCollector
from tesseract_grpc.server.metrics.loop_lag import LoopLag
from tesseract_grpc.server.metrics.meters import CallMeters
from tesseract_grpc.server.metrics.sample import take_sample
from tesseract_grpc.server.rebuilding import Rebuilding
from tesseract_grpc.server.services.backups import Backups
from tesseract_grpc.server.services.caches import Caches
from tesseract_grpc.server.services.debugging import Debugging
from tesseract_grpc.server.services.definitions import Definitions
from tesseract_grpc.server.services.diagnoses import Diagnoses
from tesseract_grpc.server.services.hub_watches import HubWatches
from tesseract_grpc.server.services.hubs import Hubs
from tesseract_grpc.server.services.performance_tests import PerformanceTests
from tesseract_grpc.server.services.plans import Plans
from tesseract_grpc.server.services.reads import Reads
from tesseract_grpc.server.services.session_edits import SessionEdits
from tesseract_grpc.server.services.session_reads import SessionReads
from tesseract_grpc.server.services.sessions import Sessions
from tesseract_grpc.server.services.several_sessions import SeveralSessions
from tesseract_grpc.server.services.swaps import Swaps
from tesseract_grpc.server.services.table_watches import TableWatches
from tesseract_grpc.server.services.writes import Writes
from tesseract_grpc.server.shared_journal import SharedJournal
from tesseract_grpc.server.streams.audience import Audience, keep_beating, keep_patrolling
from tesseract_grpc.server.tokens import read_tokens
from tesseract_grpc.server.tracing import OFF, open_tracing
from tesseract_grpc.server.web.methods import Registry, add_reflection
from tesseract_grpc.server.web.port import WebPort

_LAST_GRACE = 0.2
"""Seconds that gRPC gets to hand the last statuses out, after our own calls have ended."""


class ServeError(RuntimeError):
    """The server cannot listen; the message says why."""


class Server:
    """One serving process, or one server inside a test."""

    def __init__(
        self, config: ServerConfig | None = None, *, clock: Clock = time.time, open_log: OpenLog = open_log
    ) -> None:
        """Checks the configuration. Raises ConfigError. `clock` gives the times that clients are told, `open_log` where
        hubs keep what happens."""
        self.config = config or ServerConfig()
        address.check(self.config)
        log_opening.check(self.config)
        self._credentials = tls.credentials(self.config)
        self._tokens = read_tokens(self.config.token_file) if self.config.token_file else None
        self._web = WebPort(self.config) if self.config.http_port is not None else None
        self._log = logs.logger()
        self._clock = clock
        self._open_log = open_log
        self._hosts: Hosts
        self._calls = CallMeters()
        self._metrics: Endpoint | None = None
        self._tracing = OFF
        self._grpc: grpc.aio.Server | None = None
        self._timers: list[asyncio.Task[None]] = []
        self._beside: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stopping = False
        self.port = 0

    @property
    def hubs(self) -> Mapping[str, Hub]:
        """The hubs of the server, by id."""
        return {name: host.hub for name, host in self._hosts.by_name.items()}

    @property
    def recoveries(self) -> Mapping[str, Recovery]:
        """What the start found in the logs of the hubs that have one, by id."""
        journals = ((name, host.journal) for name, host in self._hosts.by_name.items())
        return {name: journal.recovery for name, journal in journals if journal.log is not None}

    @property
    def address(self) -> str:
        """What a client connects to; the port is known after `start`."""
        if self.config.listen.startswith("unix"):
            return self.config.listen
        return f"{self.config.listen.rpartition(':')[0]}:{self.port}"

    @property
    def http_address(self) -> str | None:
        """What browsers connect to, `http://host:port`; None where there is no such port."""
        return self._web.address if self._web is not None else None

    async def start(self) -> None:
        """Serves from now on. Raises ServeError when the address is taken."""
        warm_up()  # or the first expression would hold all other calls up
        try:
            self._hosts = Hosts(self.config, self._clock, BEHAVIOURS, self._open_log)
            self._rebuilding = Rebuilding(self._hosts, self._adopt)
        except (LogFailed, LogDamaged) as error:
            raise ServeError(str(error)) from error
        try:
            for host in self._hosts.by_name.values():
                await self._recover(host)
            await self._serve()
        except BaseException as error:
            await self._hosts.close()
            if isinstance(error, (LogFailed, LogDamaged)):
                raise ServeError(str(error)) from error
            raise

    async def _recover(self, host: Host) -> None:
        """Brings a hub to where its log ends, and lets it go on from there. Raises LogFailed, LogDamaged."""
        await host.journal.recover()
        host.journal.start()
        try:
            await host.configure(self.config)
        except Refusal as refusal:  # the log cannot be written: what is there can be read, under the limits of before
            self._log.error("hub.limits_not_set", hub=host.name, error=refusal.message)

    async def _serve(self) -> None:
        """Opens the port, once every hub is where its log ends."""
        self._gate = Gate()
        self._tracing = open_tracing(self.config)
        tracers = self._tracing.interceptors()
        tokens = [TokenInterceptor(self._tokens)] if self._tokens is not None else []
        server = grpc.aio.server(interceptors=[*tracers, *tokens], options=_channel_options(self.config))
        limit = self.config.max_message_bytes
        calls = self._hosts.calls
        handlers = build_handlers(self._services(), self._gate, limit, self._calls, calls)
        server.add_generic_rpc_handlers(handlers)
        self._health = Health(server)
        names = [service.full_name for service in twin.SERVICES]
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        lag = LoopLag()
        try:
            self._metrics = self._show_metrics(lag)
            self.port = self._bind(server)
            self._bind_web()
        except ServeError:
            await self._end_watching()
            raise
        for host in self._hosts.by_name.values():
            self._adopt(host)
        await self._health.writable(self._takes_writes())
        await server.start()
        self._grpc = server
        if self._web is not None:
            await self._serve_web(self._web, handlers, tracers, tokens[0] if tokens else None)
        self._timers = [
            asyncio.create_task(lag.watch()),
            asyncio.create_task(keep_beating(self._audiences, self.config.progress_interval)),
            asyncio.create_task(
                keep_patrolling(self._audiences, min(self.config.lag_after, self.config.slow_reader_timeout))
            ),
            asyncio.create_task(keep_ticking(self._hosts.by_name.values(), self.config.tick_interval)),
            asyncio.create_task(keep_collecting(self._relations_ended)),
        ]
        self._log.info(
            "server.started",
            address=self.address,
            http_address=self.http_address,
            version=__version__,
            hubs=list(self.config.hubs),
            tls="mutual" if self.config.tls_client_ca else "on" if self._credentials else "off",
            tokens=len(self._tokens) if self._tokens is not None else 0,
        )

    async def stop(self, timeout: float | None = None) -> None:
        """Drains and stops, in at most `timeout` seconds (default: the configuration's drain_timeout)."""
        if self._grpc is None or self._stopping:
            await self._stopped.wait()
            return
        self._stopping = True
        patience = self.config.drain_timeout if timeout is None else timeout
        self._log.info("server.stopping", calls=self._gate.inside, patience=patience)
        self._gate.close()
        await self._health.not_serving()
        for host in self._hosts.by_name.values():
            host.end(shutting_down())
        if self._web is not None:
            self._web.drain()
        await self._emptied(patience)
        cut_off = self._gate.inside
        for timer in self._timers:
            timer.cancel()
        await self._hosts.close()
        grace = 0 if cut_off else min(_LAST_GRACE, patience)
        await asyncio.gather(self._grpc.stop(grace), *([self._web.close(grace)] if self._web is not None else []))
        await self._end_watching()
        self._log.info("server.stopped", cut_off=cut_off)
        self._stopped.set()

    def _audiences(self) -> list[Audience]:
        return [host.audience for host in self._hosts.by_name.values()]

    def _adopt(self, host: Host) -> None:
        """A hub is served by this server from now on, and tells it what becomes of it."""
        host.tracing = self._tracing
        host.journal.on_state = partial(self._turned, host)
        if isinstance(host.journal, SharedJournal):
            host.journal.on_lost = partial(self._lost, host)
            if host.journal.lost is not None:
                self._lost(host, host.journal.lost)
        self._tell_health()

    def _lost(self, host: Host, why: Exception) -> None:
        """What a hub has is of a log that is no more."""
        self._keep(self._rebuilding.run(host, why))

    def _relations_ended(self) -> int:
        return sum(host.hub.counters.relations_ended for host in self._hosts.by_name.values())

    def _turned(self, host: Host) -> None:
        """A hub takes writes again, or none any more, or is closed."""
        if not self._stopping:
            host.events.hub_turned(writable=host.journal.state is JournalState.SERVING)
        self._tell_health()

    def _tell_health(self) -> None:
        """A hub takes writes again, or none any more."""
        if self._stopping:
            return
        self._keep(self._health.writable(self._takes_writes()))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something beside everything else."""
        task = asyncio.create_task(work)
        self._beside.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._beside.discard)

    def _takes_writes(self) -> bool:
        """Whether every hub does; the log of one may have failed at the start already."""
        return all(host.journal.state is not JournalState.READ_ONLY for host in self._hosts.by_name.values())

    def hurry(self) -> None:
        """Ends the patience of a stop that is in progress, or of the next one."""
        self._hurry.set()

    async def _emptied(self, patience: float) -> None:
        """Waits until every call has ended, but not for longer than `patience`, and no longer when somebody hurries."""
        waits = [asyncio.create_task(event.wait()) for event in (self._gate.empty, self._hurry)]
        await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()

    async def wait_stopped(self) -> None:
        """Returns when the server has stopped."""
        await self._stopped.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _services(self) -> dict[str, tuple[object, ...]]:
        hosts = self._hosts
        return {
            "tesseract.v1.TableService": (
                Definitions(hosts),
                Writes(hosts),
                Reads(hosts),
                TableWatches(hosts),
                Swaps(hosts),
            ),
            "tesseract.v1.SessionService": (
                Sessions(hosts),
                SessionEdits(hosts),
                SessionReads(hosts),
                SeveralSessions(hosts),
                Plans(hosts),
            ),
            "tesseract.v1.HubService": (Hubs(hosts), HubWatches(hosts), Backups(hosts)),
            "tesseract.v1.DiagnosisService": (
                Caches(hosts),
                Diagnoses(hosts),
                PerformanceTests(hosts),
                Debugging(hosts),
            ),
        }

    def _show_metrics(self, lag: LoopLag) -> Endpoint | None:
        """Serves metrics, when they were asked for. Raises ServeError."""
        port = self.config.metrics_port
        if not port:
            return None
        host = address.metrics_host(self.config)
        sampler = partial(take_sample, self._hosts, self._calls, lag)
        try:
            return Endpoint(host, port, SampleCollector(sampler, lag, asyncio.get_running_loop()))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ServeError(f"cannot serve metrics on {host}:{port}: {why}") from None

    async def _end_watching(self) -> None:
        """Closes the metrics' port, and sends the last spans."""
        if self._metrics is not None:
            await self._metrics.close()
        await self._tracing.close()

    async def _serve_web(
        self,
        web: WebPort,
        handlers: Sequence[grpc.GenericRpcHandler],
        tracers: Sequence[grpc.aio.ServerInterceptor],
        tokens: TokenInterceptor | None,
    ) -> None:
        """Answers browsers by the handlers that gRPC has."""
        names = (*(service.full_name for service in twin.SERVICES), health.SERVICE_NAME, reflection.SERVICE_NAME)
        registry = Registry()
        registry.add_generic_rpc_handlers(handlers)
        self._health.register(registry)
        add_reflection(names, registry)
        await web.serve(registry.methods(names), tracers, tokens, lambda: self._health.serving)

    def _bind_web(self) -> None:
        if self._web is None:
            return
        try:
            self._web.bind()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ServeError(f"cannot listen on {self._web.address}: {why}") from None

    def _bind(self, server: grpc.aio.Server) -> int:
        listen = self.config.listen
        if not listen.startswith("unix"):
            address.split(listen)
        try:
            if self._credentials is not None:
                port = server.add_secure_port(listen, self._credentials)
            else:
                port = server.add_insecure_port(listen)
        except RuntimeError:
            port = 0
        if not port:
            raise ServeError(f"cannot listen on {listen}: {_why(listen)}")
        return port


def _why(listen: str) -> str:
    """gRPC does not say why it cannot bind, so try it by hand."""
    if listen.startswith("unix"):
        return "the socket cannot be created"
    host, port = address.split(listen)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(where)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "the address is already in use"


def _channel_options(config: ServerConfig) -> list[tuple[str, int]]:
    milliseconds = 1_000
    return [
        # Otherwise a second server shares the port silently, and each gets some of the connections.
        ("grpc.so_reuseport", 0),
        # Above our own limit, so that a message that is too large is refused by us, with a reason.
        ("grpc.max_receive_message_length", 2 * config.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", round(config.keepalive_time * milliseconds)),
        ("grpc.keepalive_timeout_ms", round(config.keepalive_timeout * milliseconds)),
        # Without this a peer that hangs is noticed only after a minute, whatever the keepalive says.
        ("grpc.http2.ping_timeout_ms", round(config.keepalive_timeout * milliseconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping often: it is how they notice a dead server.
        ("grpc.http2.min_ping_interval_without_data_ms", milliseconds),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", milliseconds),
    ]


async def serve(config: ServerConfig, *, started: asyncio.Future[Server] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal stops at once. Raises ConfigError, ServeError."""
    logs.configure(config)
    server = Server(config)
    await server.start()
    if started is not None:
        started.set_result(server)
    calm()
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()

    def on_signal() -> None:
        if signalled.is_set():
            server.hurry()
        signalled.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await signalled.wait()
        await server.stop()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


__all__ = ["ConfigError", "ServeError", "Server", "ServerConfig", "serve"]
