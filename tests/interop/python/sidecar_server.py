"""A gRPC server on a Unix socket that is not a plugin of go-plugin.

It is started as `PYTHON sidecar_server.py PATH`, serves the greeter of the guide and its health,
has no reflection, and ends when its standard input ends.
"""

from concurrent import futures
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from greeterpb import greeter_pb2, greeter_pb2_grpc


class Greeter(greeter_pb2_grpc.GreeterServicer):
    def Greet(self, request, context):
        return greeter_pb2.GreetResponse(greeting=f"Hello from a Python sidecar, {request.name}!")


def main(path: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    greeter_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    status = health.HealthServicer()
    status.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    print("listening", flush=True)
    sys.stdin.read()
    server.stop(grace=None).wait()


if __name__ == "__main__":
    main(sys.argv[1])
