"""Launching and stopping a plugin through pyvider-rpcplugin.

Importing this module imports the library, which reads its configuration from
the environment at that moment: call `configure` of kit_host.py first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
import socket
import subprocess
import sys
import time
from typing import Any

import grpc
from pyvider.rpcplugin import plugin_client
from pyvider.rpcplugin.client import process as library_process
from pyvider.rpcplugin.protocol.grpc_stdio_pb2 import StdioData
from pyvider.rpcplugin.protocol.grpc_stdio_pb2_grpc import GRPCStdioStub

from kit_facts import COOKIE_KEY, COOKIE_VALUE, VERSIONS
from kitpb import kit_pb2_grpc

# A variable that the host sets, to check that it reaches the plugin.
PROBE_NAME, PROBE_VALUE = "KIT_HOST_PROBE", "from the python host"

START_SECONDS = 45
STOP_SECONDS = 10


class RecordingStdioStub(GRPCStdioStub):
    """Keeps a copy of every chunk on its way to the library's stdio task.

    That task only logs the chunks, cut and decoded. Recording them under it
    shows exact bytes that came in through the library's own stream.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.received = {StdioData.STDOUT: bytearray(), StdioData.STDERR: bytearray()}
        self._open_stream = self.StreamStdio
        self.StreamStdio = self._recorded_stream

    async def _recorded_stream(self, request):
        async for chunk in self._open_stream(request):
            self.received.setdefault(chunk.channel, bytearray()).extend(chunk.data)
            yield chunk


library_process.GRPCStdioStub = RecordingStdioStub


class Plugin:
    """A launched plugin."""

    # Every plugin that this process has launched, so that all are stopped.
    launched: list[Plugin] = []

    def __init__(self, command: list[str]) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.client = plugin_client(
            command=command,
            config={
                "env": {
                    COOKIE_KEY: COOKIE_VALUE,
                    # The library does not send the versions by itself.
                    "PLUGIN_PROTOCOL_VERSIONS": ",".join(map(str, VERSIONS)),
                    PROBE_NAME: PROBE_VALUE,
                    # The level of the host must not apply to the plugin.
                    "PROVIDE_LOG_LEVEL": "WARNING",
                }
            },
        )
        # The library keeps a hundred lines. A plugin that logs much needs more.
        self.client._stderr_tail = deque(maxlen=10_000)
        self.launched.append(self)

    @classmethod
    async def launch(cls, command: list[str]) -> Plugin:
        plugin = cls(command)
        try:
            await asyncio.wait_for(plugin.client.start(), START_SECONDS)
        except BaseException:
            for line in plugin.raw_stderr_lines:
                print(line, file=sys.stderr)
            await plugin.close()
            raise
        # close() makes the client forget all of these.
        plugin.process = plugin.client._process.process
        plugin.stdio = plugin.client._stdio_stub.received
        plugin.kit = kit_pb2_grpc.KitStub(plugin.client.grpc_channel)
        return plugin

    @property
    def endpoint(self) -> str:
        return self.client.target_endpoint

    @property
    def network(self) -> str:
        return self.client._transport_name

    @property
    def version(self) -> int:
        return self.client._protocol_version

    @property
    def serves_tls(self) -> bool:
        return bool(self.client._server_cert)

    @property
    def raw_stderr_lines(self) -> list[str]:
        """The last lines that the library drained from the stderr pipe."""
        return list(self.client._stderr_tail)

    async def rest_of_stderr(self) -> str:
        """The output of an ended plugin that the library did not drain.

        Its relay stops as soon as it sees that the process has ended.
        """
        return (await asyncio.to_thread(self.process.stderr.read)).decode(errors="replace")

    def open_channel(
        self, credentials: grpc.ChannelCredentials | None, extra_options: Iterable[tuple[str, Any]] = ()
    ) -> grpc.aio.Channel:
        """A second connection to the same plugin, outside the library."""
        options = [*self.client._get_channel_options(), *extra_options]
        if credentials:
            return grpc.aio.secure_channel(self.endpoint, credentials, options)
        return grpc.aio.insecure_channel(self.endpoint, options)

    def own_credentials(self) -> grpc.ChannelCredentials | None:
        return self.client._setup_channel_credentials()

    def server_certificate(self) -> bytes:
        return self.client._rebuild_x509_pem(self.client._server_cert).encode()

    def endpoint_is_open(self) -> bool:
        """Whether the socket file exists, or the port takes connections."""
        if self.network == "unix":
            return Path(self.endpoint.removeprefix("unix:")).exists()
        host, _, port = self.endpoint.rpartition(":")
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    async def exit_status(self, seconds: float) -> int:
        """Wait for the process to end; TimeoutError if it does not."""
        async with asyncio.timeout(seconds):
            while self.process.poll() is None:
                await asyncio.sleep(0.005)
        return self.process.returncode

    async def shutdown(self) -> float:
        """Send Shutdown; seconds from the call until the process had ended."""
        asked = time.monotonic()
        call = asyncio.create_task(self.client.shutdown_plugin())
        try:
            await self.exit_status(STOP_SECONDS)
            return time.monotonic() - asked
        finally:
            # The library's call has no deadline.
            with suppress(TimeoutError):
                await asyncio.wait_for(call, 1)

    async def close(self) -> None:
        """Let the library clean up, which sends SIGTERM to a living process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.client.close(), STOP_SECONDS)

    def remove_socket(self) -> None:
        """Remove the socket file that a crashed plugin has left."""
        if self.network == "unix":
            Path(self.endpoint.removeprefix("unix:")).unlink(missing_ok=True)

    async def stop(self) -> None:
        with suppress(TimeoutError):
            await self.shutdown()
        await self.close()


def kill_all_plugins() -> None:
    for plugin in Plugin.launched:
        # From the start until the close, the library owns the process.
        managed = plugin.client._process
        process = plugin.process or (managed and managed.process)
        if process and process.poll() is None:
            process.kill()


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5) -> bool:
    """Whether the condition became true in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.02)
            return True
    return False
