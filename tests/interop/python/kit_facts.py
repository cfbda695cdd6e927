"""The shared part of the conformance plugin and host."""

from importlib.metadata import version
import platform

COOKIE_KEY = "CONFORMANCE_KIT_COOKIE"
COOKIE_VALUE = "b1d0c9a6-conformance"
VERSIONS = [1, 2, 3]
SERVICE_NAME = "conformance.v1.Kit"

# The checks recognise a plugin of this library by this name, because it lacks
# some features.
LIBRARY = "pyvider-rpcplugin"


def implementation() -> str:
    """Language, library and versions, for Info."""
    return f"python {platform.python_version()}, {LIBRARY} {version(LIBRARY)}, grpcio {version('grpcio')}"


def big_payload(size: int, seed: int) -> bytes:
    """Bytes of the kit's pattern: byte i is (i ^ (i >> 8) ^ seed) & 0xff.

    Only the low 16 bits of i matter, so the pattern repeats every 64 KiB.
    """
    period = bytes((low ^ high ^ seed) & 0xFF for high in range(256) for low in range(256))
    return (period * (size // len(period) + 1))[:size]
