"""The Kit plugin, with settings only from the environment, as pyvider reads it.

A host starts it as `PYTHON env_plugin.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys

from pyvider.rpcplugin import RPCPluginServer

from kit_facts import VERSIONS
from kit_plugin import KitProtocol
from kit_service import KitService


async def serve() -> None:
    """Serve until the host calls Shutdown. Ends the process, as the library does."""
    server = RPCPluginServer(
        protocol=KitProtocol(VERSIONS),
        handler=KitService(negotiated_version=lambda: server._protocol_version),
    )
    try:
        await server.serve()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    asyncio.run(serve())
