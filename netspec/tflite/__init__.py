"""Writing and reading `.tflite` files without a converter, and asking the runtime who runs them.

Importing this package loads the flatbuffers schema but no runtime.
"""

from netspec.delegation import Delegation, delegation
from netspec.tflite.encode import FileOptions, encode
from netspec.tflite.read import network_of_file, read_network

__all__ = [
    "Delegation",
    "FileOptions",
    "delegation",
    "encode",
    "network_of_file",
    "read_network",
]
