"""A plugin whose every word has characters in it that act on a terminal.

It is made without a plugin library: what a host shows of it arrives as it is written here. Its cookie is ACTING_PLUGIN=1.
Of the Kit it has Fail and Chat.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import sys
import tempfile
import threading
from concurrent import futures

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# The clipboard, the screen, a sequence of the second set of controls, DEL, directions, a colour, and a carriage return.
ACTS = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\x7f\u202ex\u2066\x1b[31mcrimson\x1b[0m\r"


def field(number: int, value: bytes | str) -> bytes:
    """A field of a message whose value has a length below 16384."""
    if isinstance(value, str):
        value = value.encode()
    length = len(value)
    size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + size + value


def log() -> None:
    """Log records and other lines on stderr."""
    record = {
        "@level": "error",
        "@message": f"message {ACTS}",
        "@module": f"module {ACTS}",
        f"name {ACTS}": f"value {ACTS}",
    }
    for line in (f"line {ACTS}", f"[ERROR] text {ACTS}", json.dumps(record), json.dumps(record, ensure_ascii=False)):
        sys.stderr.buffer.write(line.encode() + b"\n")
    sys.stderr.flush()


def health(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """SERVING."""
    return b"\x08\x01"


def stdio(_request: bytes, context: grpc.ServicerContext):
    """The output, on both channels."""
    for channel in (1, 2):
        yield bytes([8, channel]) + field(2, f"printed {ACTS}\n")
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait()


def reflection(requests, _context: grpc.ServicerContext):
    """A service with an impossible name, and a service without a description."""
    for request in requests:
        if b"\x3a" in request[:1]:
            names = (f"service.{ACTS}", "conformance.v1.Kit")
            yield field(6, b"".join(field(1, field(1, name)) for name in names))
        else:
            yield field(7, b"\x08\x05" + field(2, f"error {ACTS}"))


def fail(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """A status with a message, details and metadata."""
    details = field(3, field(1, f"type.googleapis.com/type.{ACTS}") + field(2, ACTS))
    status = b"\x08\x0d" + field(2, f"status {ACTS}") + details
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(grpc.StatusCode.INTERNAL, f"status {ACTS}\nERROR of another line")


def chat(requests, _context: grpc.ServicerContext):
    """An answer to each message."""
    for _ in requests:
        yield field(2, f"answer {ACTS}")


def credentials(host_pem: str) -> tuple[grpc.ServerCredentials, bytes]:
    """Ephemeral credentials, and the certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "subject\nSHA-256 of another line"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ACTS),
        ]
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair = (pem, certificate.public_bytes(serialization.Encoding.PEM))
    made = grpc.ssl_server_credentials([pair], root_certificates=host_pem.encode())
    return made, certificate.public_bytes(serialization.Encoding.DER)


def main() -> None:
    """Serve until the host calls Shutdown."""
    log()
    if os.environ.get("ACTING_PLUGIN") != "1":
        sys.exit(f"this program is a plugin, and its magic cookie ACTING_PLUGIN is not set {ACTS}")
    over = threading.Event()

    def shutdown(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        over.set()
        return b""

    unary, streams = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    services = {
        "grpc.health.v1.Health": {"Check": unary(health)},
        "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": streams(reflection)},
        "plugin.GRPCStdio": {"StreamStdio": grpc.unary_stream_rpc_method_handler(stdio)},
        "plugin.GRPCController": {"Shutdown": unary(shutdown)},
        "conformance.v1.Kit": {"Fail": unary(fail), "Chat": streams(chat)},
    }
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR")) as directory:
        path = f"{directory}/socket"
        certificate = b""
        if host := os.environ.get("PLUGIN_CLIENT_CERT"):
            made, certificate = credentials(host)
            server.add_secure_port(f"unix:{path}", made)
        else:
            server.add_insecure_port(f"unix:{path}")
        server.start()
        field_six = base64.b64encode(certificate).decode().rstrip("=")
        print(f"1|1|unix|{path}|grpc|{field_six}", flush=True)
        over.wait()
        server.stop(0.2).wait()


if __name__ == "__main__":
    main()
