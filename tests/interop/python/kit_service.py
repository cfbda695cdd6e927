"""The Kit service on grpc.aio, as far as pyvider-rpcplugin can carry it.

The library has no working broker, so Callback and OpenSub are UNIMPLEMENTED.
It never feeds its stdio stream either, so WriteStdio can only write the raw
part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from datetime import UTC, datetime
import json
import math
import os
import sys
import traceback

from google.protobuf import any_pb2
from google.rpc import status_pb2
import grpc
from grpc_status import rpc_status

from kit_facts import big_payload, implementation
from kitpb import kit_pb2, kit_pb2_grpc

ECHOED = "x-kit-"
ECHOED_TRAILER = "x-kit-trailer-"
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class KitService(kit_pb2_grpc.KitServicer):
    """One instance serves one plugin process."""

    def __init__(self, negotiated_version: Callable[[], int]) -> None:
        self._negotiated_version = negotiated_version
        self._values: dict[str, bytes] = {}
        self._calls = 0
        self._cancelled = 0

    # -- unary calls ---------------------------------------------------------

    async def Info(self, request, context):
        self._calls += 1
        return kit_pb2.InfoResponse(
            pid=os.getpid(),
            protocol_version=self._negotiated_version(),
            implementation=implementation(),
            cancelled_calls=self._cancelled,
            calls=self._calls,
        )

    async def Echo(self, request, context):
        self._calls += 1
        echoed = [(key, value) for key, value in context.invocation_metadata() if key.startswith(ECHOED)]
        await context.send_initial_metadata(echoed)
        context.set_trailing_metadata(
            [(ECHOED_TRAILER + key.removeprefix(ECHOED), value) for key, value in echoed]
        )
        return kit_pb2.EchoResponse(data=request.data)

    async def Put(self, request, context):
        self._calls += 1
        replaced = request.key in self._values
        self._values[request.key] = request.value
        return kit_pb2.PutResponse(replaced=replaced)

    async def Get(self, request, context):
        self._calls += 1
        if request.key not in self._values:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no such key: {request.key}")
        return kit_pb2.GetResponse(value=self._values[request.key])

    async def Fail(self, request, context):
        self._calls += 1
        if request.code == 0:
            return kit_pb2.FailResponse()
        code = STATUS_CODES.get(request.code, grpc.StatusCode.UNKNOWN)
        if not request.note:
            await context.abort(code, request.message)
        detail = any_pb2.Any()
        detail.Pack(kit_pb2.FailDetail(note=request.note, code=request.code))
        status = rpc_status.to_status(
            status_pb2.Status(code=code.value[0], message=request.message, details=[detail])
        )
        await context.abort(code, request.message, trailing_metadata=status.trailing_metadata)

    async def Env(self, request, context):
        self._calls += 1
        value = os.environb.get(request.name.encode())
        if value is None:
            return kit_pb2.EnvResponse(present=False)
        return kit_pb2.EnvResponse(present=True, value=value.decode(errors="replace"))

    async def BigPayload(self, request, context):
        self._calls += 1
        return kit_pb2.BigPayloadResponse(data=big_payload(request.n, request.seed))

    async def Sleep(self, request, context):
        self._calls += 1
        with self._counting_cancellation():
            await asyncio.sleep(request.ms / 1000)
        return kit_pb2.SleepResponse()

    # -- streams -------------------------------------------------------------

    async def Count(self, request, context):
        # Writes through the context instead of yielding, so that a cancelled
        # call is visible here, where it is counted.
        self._calls += 1
        with self._counting_cancellation():
            sent = 0
            while request.n < 0 or sent < request.n:
                value = wrapped(getattr(request, "from") + sent)
                pad = bytes([value & 0xFF]) * request.pad_bytes
                await context.write(kit_pb2.CountResponse(value=value, pad=pad))
                sent += 1
                if request.interval_us:
                    await asyncio.sleep(request.interval_us / 1_000_000)

    async def Sum(self, request_iterator, context):
        self._calls += 1
        total = count = 0
        async for request in request_iterator:
            total = wrapped(total + request.value)
            count += 1
        return kit_pb2.SumResponse(sum=total, count=count)

    async def Chat(self, request_iterator, context) -> AsyncIterator[kit_pb2.ChatMessage]:
        self._calls += 1
        received = 0
        async for message in request_iterator:
            received += 1
            yield kit_pb2.ChatMessage(seq=message.seq, text="re: " + message.text)
        yield kit_pb2.ChatMessage(seq=received, text="bye")

    # -- output and the end of the process -------------------------------------

    async def WriteStdio(self, request, context):
        self._calls += 1
        await write_stderr(request.raw_stderr)
        return kit_pb2.WriteStdioResponse()

    async def LogLine(self, request, context):
        self._calls += 1
        await write_stderr(hclog_line(request))
        return kit_pb2.LogLineResponse()

    async def Exit(self, request, context):
        self._calls += 1
        os._exit(request.code & 0xFF)

    async def Panic(self, request, context):
        # gRPC turns an exception into a status. Python prints the traceback of
        # an uncaught exception and exits with status 1.
        self._calls += 1
        try:
            raise RuntimeError(request.message)
        except RuntimeError:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    # -- what the library cannot do --------------------------------------------

    async def Callback(self, request, context):
        self._calls += 1
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this library has no working broker")

    async def OpenSub(self, request, context):
        self._calls += 1
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this library has no working broker")

    @contextmanager
    def _counting_cancellation(self):
        try:
            yield
        except asyncio.CancelledError:
            self._cancelled += 1
            raise


def wrapped(value: int) -> int:
    """The value as a 64 bit two's complement number."""
    return (value + 2**63) % 2**64 - 2**63


async def write_stderr(data: bytes) -> None:
    """Write all bytes to file descriptor 2 without stopping the event loop.

    A host that reads slowly makes the write block.
    """

    def write_all() -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(2, rest) :]

    await asyncio.to_thread(write_all)


def hclog_line(request: kit_pb2.LogLineRequest) -> bytes:
    """One hclog JSON line: the four reserved keys first, then the fields in order."""
    line = {
        "@level": request.level or "info",
        "@message": request.message,
        "@module": request.module or "kit",
        "@timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    for field in request.fields:
        kind = field.WhichOneof("value")
        value = getattr(field, kind) if kind else None
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # JSON has no NaN and no infinities.
        line[field.key] = value
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
