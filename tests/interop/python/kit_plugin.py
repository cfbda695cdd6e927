"""A plugin that serves conformance.v1.Kit through pyvider-rpcplugin.

A host starts it as `PYTHON kit_plugin.py [--net unix|tcp] [--tls-dir DIR]
[--versions 1,2,3]`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
import sys

from pyvider.rpcplugin import plugin_server
from pyvider.rpcplugin.protocol import RPCPluginProtocol

from kit_facts import COOKIE_KEY, COOKIE_VALUE, SERVICE_NAME, VERSIONS
from kit_service import KitService
from kitpb import kit_pb2, kit_pb2_grpc


class KitProtocol(RPCPluginProtocol):
    """The protocol for the library: the Kit service, in these versions."""

    service_name = SERVICE_NAME

    def __init__(self, versions: list[int]) -> None:
        self.supported_protocol_versions = versions

    async def get_grpc_descriptors(self):
        return kit_pb2, SERVICE_NAME

    async def add_to_server(self, server, handler) -> None:
        kit_pb2_grpc.add_KitServicer_to_server(handler, server)

    def get_method_type(self, method_name: str) -> str:
        method = kit_pb2.DESCRIPTOR.services_by_name["Kit"].methods_by_name[method_name.rpartition("/")[2]]
        request = "stream" if method.client_streaming else "unary"
        response = "stream" if method.server_streaming else "unary"
        return f"{request}_{response}"


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until the host calls Shutdown. Ends the process, as the library does."""
    config = {"PLUGIN_MAGIC_COOKIE_KEY": COOKIE_KEY, "PLUGIN_MAGIC_COOKIE_VALUE": COOKIE_VALUE}
    if arguments.tls_dir:
        config |= {
            "PLUGIN_SERVER_CERT": (arguments.tls_dir / "plugin.pem").read_text(),
            "PLUGIN_SERVER_KEY": (arguments.tls_dir / "plugin.key").read_text(),
            "PLUGIN_CLIENT_ROOT_CERTS": (arguments.tls_dir / "ca.pem").read_text(),
        }
    # The library does not expose the negotiated version.
    service = KitService(negotiated_version=lambda: server._protocol_version)
    server = plugin_server(
        protocol=KitProtocol(arguments.versions),
        handler=service,
        transport=arguments.net,
        config=config,
    )
    try:
        await server.serve()
    except SystemExit as end:
        # Everything is closed. An immediate exit avoids a write to stderr,
        # which blocks if the host does not read.
        sys.stderr.flush()
        os._exit(end.code)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=["unix", "tcp"], default="unix")
    parser.add_argument("--tls-dir", type=Path, metavar="DIR")
    parser.add_argument(
        "--versions",
        type=lambda text: [int(part) for part in text.split(",")],
        default=VERSIONS,
        metavar="N,...",
    )
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(serve(parse_arguments()))
