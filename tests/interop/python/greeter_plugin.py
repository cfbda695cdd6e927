"""The Python plugin of the guide."""

import asyncio

from pyvider.rpcplugin import plugin_server
from pyvider.rpcplugin.protocol import RPCPluginProtocol

from greeterpb import greeter_pb2, greeter_pb2_grpc

SERVICE = "rpcplugin.examples.greeter.v1.Greeter"


class Greeter(greeter_pb2_grpc.GreeterServicer):
    async def Greet(self, request, context):
        return greeter_pb2.GreetResponse(greeting=f"Hello from Python, {request.name}!")


class GreeterProtocol(RPCPluginProtocol):
    service_name = SERVICE

    async def get_grpc_descriptors(self):
        return greeter_pb2, SERVICE

    async def add_to_server(self, server, handler) -> None:
        greeter_pb2_grpc.add_GreeterServicer_to_server(handler, server)

    def get_method_type(self, method_name: str) -> str:
        return "unary_unary"


async def main() -> None:
    cookie = {"PLUGIN_MAGIC_COOKIE_KEY": "GREETER_PLUGIN", "PLUGIN_MAGIC_COOKIE_VALUE": "hello"}
    await plugin_server(protocol=GreeterProtocol(), handler=Greeter(), config=cookie).serve()


if __name__ == "__main__":
    asyncio.run(main())
