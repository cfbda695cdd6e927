"""The named checks of `kit_host.py check`, in the order in which they run.

A check returns when all is well, and raises otherwise. Skip says that this
host or this plugin cannot do the thing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from provide.foundation.crypto import Certificate
from pyvider.rpcplugin.protocol.grpc_stdio_pb2 import StdioData

from hosting import PROBE_NAME, PROBE_VALUE, Plugin, eventually
from kit_facts import LIBRARY, VERSIONS, big_payload
from kitpb import kit_pb2, kit_pb2_grpc

CALL_SECONDS = 10
MIB = 1 << 20


class Skip(Exception):
    pass


class Failure(Exception):
    pass


@dataclass
class Run:
    """The state of the checks: the plugin, and the expectations of the command line."""

    plugin: Plugin
    command: list[str]
    auto_mtls: bool
    tls_dir: Path | None
    network: str | None

    @property
    def secured(self) -> bool:
        return self.auto_mtls or self.tls_dir is not None

    @property
    def kit(self) -> kit_pb2_grpc.KitStub:
        return self.plugin.kit

    async def info(self) -> kit_pb2.InfoResponse:
        return await self.kit.Info(kit_pb2.InfoRequest(), timeout=CALL_SECONDS)

    async def plugin_is_pyvider(self) -> bool:
        return LIBRARY in (await self.info()).implementation

    @asynccontextmanager
    async def another_plugin(self):
        plugin = await Plugin.launch(self.command)
        try:
            yield plugin
        finally:
            await plugin.close()
            plugin.remove_socket()


Check = Callable[[Run], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def expect_equal(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Failure(f"{what}: got {shortened(got)}, wanted {shortened(wanted)}")


def shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:80]}... ({len(text)} characters)"


async def expect_status(call: Awaitable, code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        if error.code() != code:
            raise Failure(f"status {error.code().name} ({error.details()}), wanted {code.name}") from error
        return error
    raise Failure(f"answered {shortened(answer)}, wanted status {code.name}")


# -- the handshake ---------------------------------------------------------------


@check("negotiated-version")
async def negotiated_version(run: Run) -> None:
    expect_equal("version in the handshake line", run.plugin.version, max(VERSIONS))
    expect_equal("version in Info", (await run.info()).protocol_version, max(VERSIONS))


@check("network")
async def network(run: Run) -> None:
    if run.network is None:
        raise Skip("no --net given")
    expect_equal("network", run.plugin.network, run.network)


@check("security")
async def security(run: Run) -> None:
    # Without a certificate in the line, this library silently continues in
    # plain text, so the check looks at the line.
    expect_equal("certificate in the handshake line", run.plugin.serves_tls, run.secured)


# The codes for a connection that the plugin closes, or for a call that it refuses.
REFUSALS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
)


@check("unauthorized-clients-refused")
async def unauthorized_clients_refused(run: Run) -> None:
    if not run.secured:
        raise Skip("needs --auto-mtls or --tls-dir")
    if run.auto_mtls and await run.plugin_is_pyvider():
        raise Skip(f"a {LIBRARY} plugin does not verify hosts in automatic mode")
    root = run.plugin.server_certificate()
    foreign = Certificate.create_self_signed_client_cert(
        common_name="unauthorized", organization_name="unauthorized", validity_days=1, key_type="ecdsa"
    )
    unauthorized = {
        "plaintext": None,
        "no certificate": grpc.ssl_channel_credentials(root),
        "foreign certificate": grpc.ssl_channel_credentials(
            root, foreign.key_pem.encode(), foreign.cert_pem.encode()
        ),
    }
    for who, credentials in unauthorized.items():
        async with run.plugin.open_channel(credentials) as channel:
            try:
                await kit_pb2_grpc.KitStub(channel).Info(kit_pb2.InfoRequest(), timeout=3)
            except grpc.aio.AioRpcError as error:
                # A plugin that hangs is silent too.
                if error.code() not in REFUSALS:
                    raise Failure(f"a caller with {who} was not refused: {error.code()}") from error
                continue
            raise Failure(f"a caller with {who} was served")


@check("environment")
async def environment(run: Run) -> None:
    for name, value in [(PROBE_NAME, PROBE_VALUE), ("KIT_HOST_NEVER_SET", None)]:
        answer = await run.kit.Env(kit_pb2.EnvRequest(name=name), timeout=CALL_SECONDS)
        expect_equal(f"{name} is present", answer.present, value is not None)
        expect_equal(name, answer.value, value or "")


@check("health")
async def health(run: Run) -> None:
    stub = health_pb2_grpc.HealthStub(run.plugin.client.grpc_channel)
    for service in ["plugin", ""]:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_SECONDS)
        expect_equal(f"health of {service!r}", answer.status, health_pb2.HealthCheckResponse.SERVING)


@check("health-unknown")
async def health_unknown(run: Run) -> None:
    stub = health_pb2_grpc.HealthStub(run.plugin.client.grpc_channel)
    request = health_pb2.HealthCheckRequest(service="missing.Service")
    await expect_status(stub.Check(request, timeout=CALL_SECONDS), grpc.StatusCode.NOT_FOUND)


# -- unary calls -----------------------------------------------------------------


@check("put-get")
async def put_get(run: Run) -> None:
    for key, value in [("plain", b"one"), ("empty", b""), ("schlüssel/鍵", bytes(range(256)))]:
        for replaced in [False, True]:
            answer = await run.kit.Put(kit_pb2.PutRequest(key=key, value=value), timeout=CALL_SECONDS)
            expect_equal(f"replaced {key}", answer.replaced, replaced)
        answer = await run.kit.Get(kit_pb2.GetRequest(key=key), timeout=CALL_SECONDS)
        expect_equal(f"value of {key}", answer.value, value)


@check("missing-key")
async def missing_key(run: Run) -> None:
    key = "never put, 鍵"
    call = run.kit.Get(kit_pb2.GetRequest(key=key), timeout=CALL_SECONDS)
    error = await expect_status(call, grpc.StatusCode.NOT_FOUND)
    expect_equal("message", error.details(), f"no such key: {key}")


@check("echo-metadata")
async def echo_metadata(run: Run) -> None:
    sent = [
        ("x-kit-text", "plain text"),
        ("x-kit-twice", "first"),
        ("x-kit-twice", "second"),
        ("x-kit-raw-bin", bytes(range(256))),
        ("x-other", "stays here"),
    ]
    call = run.kit.Echo(kit_pb2.EchoRequest(data=b"data"), metadata=sent, timeout=CALL_SECONDS)
    expect_equal("data", (await call).data, b"data")
    headers, trailers = await call.initial_metadata(), await call.trailing_metadata()
    for prefix, metadata in [("x-kit-", headers), ("x-kit-trailer-", trailers)]:
        wanted = [(prefix + key.removeprefix("x-kit-"), value) for key, value in sent[:-1]]
        got = [(key, value) for key, value in metadata if key.startswith("x-kit-") or key == "x-other"]
        expect_equal(f"{prefix} metadata", sorted(got, key=repr), sorted(wanted, key=repr))
        expect_equal(
            f"order of {prefix}twice", [v for k, v in got if k == prefix + "twice"], ["first", "second"]
        )


@check("fail-details")
async def fail_details(run: Run) -> None:
    await run.kit.Fail(kit_pb2.FailRequest(code=0), timeout=CALL_SECONDS)
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        number, message = code.value[0], f"100 % of {code.name}: naïve\nsecond line"
        request = kit_pb2.FailRequest(code=number, message=message, note=f"note {number}")
        error = await expect_status(run.kit.Fail(request, timeout=CALL_SECONDS), code)
        expect_equal("message", error.details(), message)
        status = rpc_status.from_call(error)
        if status is None:
            raise Failure(f"{code.name} came without details")
        expect_equal(
            "type of the detail",
            [detail.type_url for detail in status.details],
            ["type.googleapis.com/conformance.v1.FailDetail"],
        )
        detail = kit_pb2.FailDetail()
        status.details[0].Unpack(detail)
        expect_equal("detail", (detail.note, detail.code), (f"note {number}", number))


# -- streams ---------------------------------------------------------------------


@check("server-stream")
async def server_stream(run: Run) -> None:
    request = kit_pb2.CountRequest(**{"from": 250}, n=1000, pad_bytes=32)
    got = [(m.value, m.pad) async for m in run.kit.Count(request, timeout=CALL_SECONDS)]
    expect_equal("stream", got, [(i, bytes([i & 0xFF]) * 32) for i in range(250, 1250)])


@check("client-stream")
async def client_stream(run: Run) -> None:
    for values, total in [(range(1, 1001), 500500), ([2**63 - 1, 2], -(2**63) + 1), ([], 0)]:
        requests = (kit_pb2.SumRequest(value=value) for value in values)
        answer = await run.kit.Sum(requests, timeout=CALL_SECONDS)
        expect_equal("sum and count", (answer.sum, answer.count), (total, len(values)))


@check("bidi")
async def bidi(run: Run) -> None:
    call = run.kit.Chat(timeout=CALL_SECONDS)
    for seq in range(100):
        await call.write(kit_pb2.ChatMessage(seq=seq, text=f"message {seq}"))
        answer = await call.read()
        expect_equal("answer", (answer.seq, answer.text), (seq, f"re: message {seq}"))
    await call.done_writing()
    last = await call.read()
    expect_equal("last message", (last.seq, last.text), (100, "bye"))
    expect_equal("end of the stream", await call.read(), grpc.aio.EOF)
    expect_equal("status", await call.code(), grpc.StatusCode.OK)


# -- size and load ---------------------------------------------------------------


@check("big-3mib-down")
async def big_down(run: Run) -> None:
    # The channel of the library receives less than 4 MiB, whatever the settings.
    request = kit_pb2.BigPayloadRequest(n=3 * MIB, seed=7)
    answer = await run.kit.BigPayload(request, timeout=CALL_SECONDS)
    expect_equal("payload", answer.data == big_payload(3 * MIB, 7), True)


@check("big-16mib-up")
async def big_up(run: Run) -> None:
    value = big_payload(16 * MIB, 11)
    for replaced in [False, True]:
        answer = await run.kit.Put(kit_pb2.PutRequest(key="big", value=value), timeout=CALL_SECONDS)
        expect_equal("replaced", answer.replaced, replaced)
    # The channel of the library cannot receive the value, and works afterwards.
    call = run.kit.Get(kit_pb2.GetRequest(key="big"), timeout=CALL_SECONDS)
    await expect_status(call, grpc.StatusCode.RESOURCE_EXHAUSTED)
    await run.info()


@check("big-16mib-both-ways")
async def big_both_ways(run: Run) -> None:
    unlimited = [("grpc.max_receive_message_length", -1)]
    value = big_payload(16 * MIB, 13)
    async with run.plugin.open_channel(run.plugin.own_credentials(), unlimited) as channel:
        stub = kit_pb2_grpc.KitStub(channel)
        answer = await stub.Echo(kit_pb2.EchoRequest(data=value), timeout=CALL_SECONDS)
        expect_equal("payload", answer.data == value, True)


@check("calls-200")
async def calls_200(run: Run) -> None:
    payloads = [big_payload(1000 + i, i % 256) for i in range(200)]
    calls = [run.kit.Echo(kit_pb2.EchoRequest(data=data), timeout=CALL_SECONDS) for data in payloads]
    answers = await asyncio.gather(*calls)
    expect_equal("payloads", [answer.data for answer in answers] == payloads, True)


# -- calls that do not run to their end ------------------------------------------


@check("deadline")
async def deadline(run: Run) -> None:
    before, started = await run.info(), time.monotonic()
    call = run.kit.Sleep(kit_pb2.SleepRequest(ms=10_000), timeout=0.3)
    await expect_status(call, grpc.StatusCode.DEADLINE_EXCEEDED)
    took = time.monotonic() - started
    if took > 2:
        raise Failure(f"the caller learned this after {took:.1f} s")
    await expect_cancelled_calls(run, before.cancelled_calls + 1)


@check("cancel")
async def cancel(run: Run) -> None:
    before = await run.info()
    endless = run.kit.Count(kit_pb2.CountRequest(n=-1, interval_us=1000))
    await endless.read()
    endless.cancel()
    sleeping = run.kit.Sleep(kit_pb2.SleepRequest(ms=10_000))

    async def sleep_has_started() -> bool:
        # Info counts itself, so each poll adds one.
        nonlocal looks
        looks += 1
        return (await run.info()).calls >= before.calls + 2 + looks

    looks = 0
    if not await eventually(sleep_has_started):
        raise Failure("Sleep did not start")
    sleeping.cancel()
    await expect_cancelled_calls(run, before.cancelled_calls + 2)


async def expect_cancelled_calls(run: Run, wanted: int) -> None:
    async def noticed() -> bool:
        return (await run.info()).cancelled_calls >= wanted

    if not await eventually(noticed):
        raise Failure(f"the plugin counts {(await run.info()).cancelled_calls} cancelled calls, not {wanted}")
    expect_equal("cancelled calls", (await run.info()).cancelled_calls, wanted)


# -- output ----------------------------------------------------------------------


@check("stdio")
async def stdio(run: Run) -> None:
    if await run.plugin_is_pyvider():
        raise Skip(f"a {LIBRARY} plugin never writes to its stdio stream")
    # Not text, larger than one chunk, and different on the two streams.
    out = b"synced stdout \xff\x00\n" + big_payload(200_000, 1)
    err = b"synced stderr \xfe\x00\n" + big_payload(200_000, 2)
    request = kit_pb2.WriteStdioRequest(stdout=out, stderr=err)
    await run.kit.WriteStdio(request, timeout=CALL_SECONDS)

    async def arrived() -> bool:
        return out in run.plugin.stdio[StdioData.STDOUT] and err in run.plugin.stdio[StdioData.STDERR]

    if not await eventually(arrived):
        sizes = {StdioData.Channel.Name(channel): len(data) for channel, data in run.plugin.stdio.items()}
        raise Failure(f"the bytes did not arrive; received in all: {sizes}")


@check("raw-stderr")
async def raw_stderr(run: Run) -> None:
    # Far more than a pipe holds: the plugin blocks if the host does not read.
    filler = b"".join(b"filler %d %s\n" % (i, b"." * 1000) for i in range(300))
    request = kit_pb2.WriteStdioRequest(raw_stderr=filler + b"raw stderr marker\n")
    await run.kit.WriteStdio(request, timeout=CALL_SECONDS)

    async def drained() -> bool:
        return any("raw stderr marker" in line for line in run.plugin.raw_stderr_lines)

    if not await eventually(drained):
        raise Failure(f"last line seen: {shortened(run.plugin.raw_stderr_lines[-1:])}")


@check("log-stderr")
async def log_stderr(run: Run) -> None:
    request = kit_pb2.LogLineRequest(
        level="warn",
        message="log line marker",
        module="kit.checks",
        fields=[
            kit_pb2.LogField(key="text", text='a "quoted" word'),
            kit_pb2.LogField(key="number", number=42),
            kit_pb2.LogField(key="flag", flag=True),
            kit_pb2.LogField(key="real", real=1.5),
        ],
    )
    await run.kit.LogLine(request, timeout=CALL_SECONDS)

    async def drained() -> bool:
        return any("log line marker" in line for line in run.plugin.raw_stderr_lines)

    if not await eventually(drained):
        raise Failure("the line did not arrive on stderr")
    line = json.loads(next(line for line in run.plugin.raw_stderr_lines if "log line marker" in line))
    wanted = {
        "@level": "warn",
        "@message": "log line marker",
        "@module": "kit.checks",
        "text": 'a "quoted" word',
        "number": 42,
        "flag": True,
        "real": 1.5,
    }
    expect_equal("log line", {key: line.get(key) for key in wanted}, wanted)


@check("broker")
async def broker(run: Run) -> None:
    raise Skip(f"a {LIBRARY} host has no working broker")


# -- the end ---------------------------------------------------------------------


@check("exit-status")
async def exit_status(run: Run) -> None:
    async with run.another_plugin() as plugin:
        call = plugin.kit.Exit(kit_pb2.ExitRequest(code=7), timeout=CALL_SECONDS)
        await expect_status(call, grpc.StatusCode.UNAVAILABLE)
        expect_equal("exit status", await plugin.exit_status(5), 7)


@check("panic")
async def panic(run: Run) -> None:
    async with run.another_plugin() as plugin:
        call = plugin.kit.Panic(kit_pb2.PanicRequest(message="panic marker"), timeout=CALL_SECONDS)
        await expect_status(call, grpc.StatusCode.UNAVAILABLE)
        if await plugin.exit_status(5) == 0:
            raise Failure("exit status 0")
        rest = await plugin.rest_of_stderr()

        async def printed() -> bool:
            return "panic marker" in "\n".join([*plugin.raw_stderr_lines, rest])

        if not await eventually(printed):
            raise Failure("the message is not on stderr")


@check("sigterm")
async def sigterm(run: Run) -> None:
    # close() without a Shutdown call ends the process with SIGTERM.
    async with run.another_plugin() as plugin:
        await plugin.close()
        expect_equal("exit status", await plugin.exit_status(1), 0)
        expect_equal("endpoint is still there", plugin.endpoint_is_open(), False)


@check("stop")
async def stop(run: Run) -> None:
    # The last check: it ends the plugin that all other checks have used.
    took = await run.plugin.shutdown()
    expect_equal("exit status", await run.plugin.exit_status(0), 0)
    expect_equal("endpoint is still there", run.plugin.endpoint_is_open(), False)
    await run.plugin.close()
    if took >= 1:
        raise Failure(f"the process ended {took:.2f} s after the Shutdown call")
