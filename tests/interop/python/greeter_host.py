"""The Python host of the guide: starts a greeter plugin, in whatever language.

    python greeter_host.py PLUGIN [ARG...]
"""

import asyncio
import os
import sys

# The library reads its settings when it is imported. Its plugins' output and
# its own log go to stderr.
os.environ.setdefault("PROVIDE_LOG_LEVEL", "ERROR")

from pyvider.rpcplugin import plugin_client

from greeterpb import greeter_pb2, greeter_pb2_grpc


async def main(command: list[str]) -> None:
    client = plugin_client(
        command=command,
        config={
            "env": {
                "GREETER_PLUGIN": "hello",
                # The library does not offer the versions by itself.
                "PLUGIN_PROTOCOL_VERSIONS": "1",
            }
        },
    )
    async with client:
        greeter = greeter_pb2_grpc.GreeterStub(client.grpc_channel)
        answer = await greeter.Greet(greeter_pb2.GreetRequest(name="Ada"))
        print(answer.greeting)
        await client.shutdown_plugin()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
