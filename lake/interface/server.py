"""Runs an application on uvicorn, until SIGTERM or SIGINT; nobody whose request was sent is left without an answer."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop

from lake.interface.access_log import AccessLog, AccessLogged
from lake.interface.lane import WithLane
from lake.interface.protocol import Connections, Protocol
from lake.interface.worker import Application, Worker
from lake.listener import Door

# Whoever was let in when the door closed has been accepted after so long.
_SETTLE_S = 0.1
_LONGEST_SETTLE_S = 2.0
# So many objects that are new are looked through at once: those of the requests under way alone are more than Python's 700.
_NEW_OBJECTS = 10_000
_LEAVE = signal.SIGUSR1  # what the supervisor tells its workers first: to be ready no more


def serve(app: Application, listener: socket.socket) -> None:
    """Serve one application with the settings as they are where nobody says otherwise."""
    serve_all(app, Door(listener), None, Worker())


def serve_all(
    app: Application,
    door: Door,
    admin_door: Door | None,
    worker: Worker,
    access_log: AccessLog | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT: be ready no more, let nobody new in, answer who is in, end.

    A second signal ends it at once. Where the worker is one of several it is their supervisor who closes the door.
    """
    data = _Server(app, door, worker, access_log)
    admin = None
    if worker.admin is not None and admin_door is not None:
        admin = _Server(worker.admin, admin_door, worker)
    worker.measures(data.connections.collect)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _written(access_log):
        runner.run(_run(data, admin, worker))


async def _run(data: "_Server", admin: "_Server | None", worker: Worker) -> None:
    stopping = asyncio.Event()

    def leave() -> None:
        worker.leaving = data.connections.leaving = True

    def stop() -> None:
        leave()
        if stopping.is_set():
            data.end_at_once()
        stopping.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(_LEAVE, leave)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    serving = [loop.create_task(server.serve(sockets=[server.door.listener])) for server in (data, admin) if server]
    stopped = loop.create_task(stopping.wait())
    await asyncio.wait([*serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if stopping.is_set() and worker.is_alone:
        await data.close_door()
    data.should_exit = True
    await serving[0]
    if admin is not None:  # it tells to the last that the other is not ready
        admin.should_exit = True
        await serving[1]
    await worker.stop()


class _Server(uvicorn.Server):
    """uvicorn, with our connections; signals are its caller's."""

    def __init__(self, app: Application, door: Door, worker: Worker, access_log: AccessLog | None = None) -> None:
        settings = worker.settings
        config = uvicorn.Config(
            app if access_log is None else AccessLogged(app, access_log),
            http=Protocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,  # nothing here goes by the address that a client claims
        )
        super().__init__(config)
        config.timeout_keep_alive = settings.keep_alive_s  # type: ignore[assignment]  # the loop takes fractions
        config.timeout_graceful_shutdown = settings.drain_s  # type: ignore[assignment]  # so here
        self.server_state = self.connections = Connections(settings, app.lane if isinstance(app, WithLane) else None, access_log)
        self.door = door
        self._worker = worker
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the caller, so that a server which was asked to stop ends with status 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and then give the other workers what they ask."""
        await super().startup(sockets)
        gc.freeze()  # what is here now stays: no collection has to look at it again
        gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
        await self._worker.start()

    async def close_door(self) -> None:
        """Go on for a while, so that balancers see it is not ready; then let nobody new in."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), self._worker.settings.drain_delay_s)
        self.door.refuse_new()
        await asyncio.sleep(_SETTLE_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept who waits at the door, answer who is in, then end the application."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LONGEST_SETTLE_S
        while self.door.is_awaited and loop.time() < until:  # noqa: ASYNC110 - the kernel's queue tells nobody when it is empty
            await asyncio.sleep(0.005)
        await super().shutdown(sockets)
        gc.unfreeze()  # so that all of it is taken down at the end

    def end_at_once(self) -> None:
        """Leave everybody without an answer."""
        self.force_exit = True
        self._ended.set()


@contextlib.contextmanager
def _written(access_log: AccessLog | None) -> Iterator[None]:
    if access_log is None:
        yield
        return
    access_log.start()
    try:
        yield
    finally:
        access_log.stop()
