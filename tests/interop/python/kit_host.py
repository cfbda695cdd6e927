"""A host that drives conformance.v1.Kit plugins through pyvider-rpcplugin.

    kit_host.py check [--auto-mtls | --tls-dir DIR] [--net unix|tcp] [--only A,B] [--skip A,B] -- PLUGIN [ARG...]
    kit_host.py hold  [--auto-mtls] -- PLUGIN [ARG...]
    kit_host.py bench [--auto-mtls] --calls N --in-flight M --payload BYTES -- PLUGIN [ARG...]

`check` prints `PASS name`, `FAIL name: why` or `SKIP name: why` for each check,
then `N passed, M failed`; its status is 0 only when something passed and
nothing failed. `hold` prints {"pid", "endpoint"} and stops the plugin at the
end of its stdin. `bench` prints {"p50_us", "p99_us", "calls_per_s",
"launch_us"}. Nothing else goes to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import sys
import threading
import time
import traceback

from kit_facts import COOKIE_KEY, COOKIE_VALUE

CHECK_SECONDS = 30


def configure(auto_mtls: bool, tls_dir: Path | None) -> None:
    """Set up the library, which reads the environment once, at its import."""
    # Inherited from another host, these would change the handshake variables.
    for name in [
        "PLUGIN_CLIENT_CERT",
        "PLUGIN_CLIENT_KEY",
        "PLUGIN_PROTOCOL_VERSIONS",
        "PLUGIN_MULTIPLEX_GRPC",
    ]:
        os.environ.pop(name, None)
    os.environ |= {
        "PLUGIN_MAGIC_COOKIE_KEY": COOKIE_KEY,
        "PLUGIN_MAGIC_COOKIE_VALUE": COOKIE_VALUE,
        "PLUGIN_AUTO_MTLS": str(auto_mtls).lower(),
        # One launch, so that its error is not hidden by an error about retries.
        "PLUGIN_CLIENT_RETRY_ENABLED": "false",
        "PLUGIN_HANDSHAKE_TIMEOUT": "30",
        "PLUGIN_CHANNEL_READY_TIMEOUT": "4",
    }
    if tls_dir:
        # This library trusts the certificate in the handshake line, whatever root signed it, so there is no setting
        # for ca.pem.
        os.environ |= {
            "PLUGIN_CLIENT_CERT": (tls_dir / "host.pem").read_text(),
            "PLUGIN_CLIENT_KEY": (tls_dir / "host.key").read_text(),
        }
    # The checks report errors, and the library logs errors of its own at
    # shutdown.
    os.environ.setdefault("PROVIDE_LOG_LEVEL", "CRITICAL")


def take_stdout() -> None:
    """Keep stdout for the report, and redirect other output to stderr."""
    report = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(report, "w", buffering=1)


async def check(arguments: argparse.Namespace) -> int:
    import checks
    from hosting import Plugin

    selected = dict(checks.CHECKS)
    unknown = (arguments.only | arguments.skip) - selected.keys()
    if unknown:
        print(f"no such check: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    if arguments.only:
        selected = {name: run for name, run in selected.items() if name in arguments.only}

    passed = failed = 0
    try:
        plugin = await Plugin.launch(arguments.plugin)
    except Exception as error:
        print(f"FAIL launch: {one_line(error)}")
        print("0 passed, 1 failed")
        return 1
    run = checks.Run(plugin, arguments.plugin, arguments.auto_mtls, arguments.tls_dir, arguments.net)
    for name, function in selected.items():
        try:
            if name in arguments.skip:
                raise checks.Skip("named by --skip")
            await asyncio.wait_for(function(run), CHECK_SECONDS)
        except checks.Skip as reason:
            print(f"SKIP {name}: {reason}")
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {one_line(error)}")
        else:
            passed += 1
            print(f"PASS {name}")
    if plugin.process.poll() is None:
        await plugin.stop()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


async def hold(arguments: argparse.Namespace) -> int:
    from hosting import Plugin

    plugin = await Plugin.launch(arguments.plugin)
    print(json.dumps({"pid": plugin.process.pid, "endpoint": plugin.endpoint}))
    released = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in [signal.SIGTERM, signal.SIGINT]:
        loop.add_signal_handler(number, released.set)

    def wait_for_end_of_input() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(released.set)

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    await released.wait()
    await plugin.stop()
    return 0 if plugin.process.returncode == 0 else 1


async def bench(arguments: argparse.Namespace) -> int:
    from hosting import Plugin
    from kitpb import kit_pb2

    launched = time.perf_counter()
    plugin = await Plugin.launch(arguments.plugin)
    launch_us = (time.perf_counter() - launched) * 1e6
    request = kit_pb2.EchoRequest(data=bytes(arguments.payload))
    latencies_us: list[float] = []

    async def caller(turns: Iterator[int]) -> None:
        for _ in turns:
            started = time.perf_counter()
            await plugin.kit.Echo(request)
            latencies_us.append((time.perf_counter() - started) * 1e6)

    # All callers draw from one iterator until it is empty.
    turns = iter(range(arguments.calls))
    started = time.perf_counter()
    await asyncio.gather(*(caller(turns) for _ in range(arguments.in_flight)))
    seconds = time.perf_counter() - started
    await plugin.stop()
    latencies_us.sort()
    report = {
        "p50_us": round(latencies_us[len(latencies_us) * 50 // 100], 1),
        "p99_us": round(latencies_us[len(latencies_us) * 99 // 100], 1),
        "calls_per_s": round(arguments.calls / seconds, 1),
        "launch_us": round(launch_us),
    }
    print(json.dumps(report))
    return 0


def one_line(error: BaseException) -> str:
    code = getattr(error, "code", None)
    if callable(code):  # The text of a gRPC error has several lines.
        return f"{code().name}: {error.details()}"
    text = " ".join(str(error).split())
    return text if type(error).__name__ == "Failure" else f"{type(error).__name__} {text}".rstrip()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    functions = {"check": check, "hold": hold, "bench": bench}
    for name, function in functions.items():
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--auto-mtls", action="store_true")
        command.add_argument("--tls-dir", type=Path, metavar="DIR", help="host.pem and host.key of this directory")
        command.add_argument(
            "--timeout", type=float, default=300, metavar="SECONDS", help="kill everything after this"
        )
        if name == "check":
            command.add_argument("--net", choices=["unix", "tcp"], help="the transport to expect")
            command.add_argument("--only", type=names, default=set(), metavar="A,B")
            command.add_argument("--skip", type=names, default=set(), metavar="A,B")
        if name == "bench":
            command.add_argument("--calls", type=positive, required=True)
            command.add_argument("--in-flight", type=positive, required=True)
            command.add_argument("--payload", type=int, required=True)
        command.add_argument("plugin", nargs="+", metavar="-- PLUGIN")
    return parser.parse_args()


def names(text: str) -> set[str]:
    return set(filter(None, text.split(",")))


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def leave(status: int) -> None:
    """Exit immediately, without leaving a plugin.

    An ordinary exit would wait for the library's threads, and those wait for
    the plugin's pipes.
    """
    from hosting import kill_all_plugins

    kill_all_plugins()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    arguments = parse_arguments()
    take_stdout()
    configure(arguments.auto_mtls, arguments.tls_dir)

    def give_up() -> None:
        print(f"{arguments.command} gave up after {arguments.timeout:g} s", file=sys.stderr)
        leave(1)

    if arguments.command != "hold":
        watchdog = threading.Timer(arguments.timeout, give_up)
        watchdog.daemon = True
        watchdog.start()

    async def run_and_leave() -> None:
        # Exits here, because asyncio.run() can hang at its end.
        try:
            status = await arguments.function(arguments)
        except Exception:
            traceback.print_exc()
            status = 1
        leave(status)

    asyncio.run(run_and_leave())


if __name__ == "__main__":
    main()
