"""Writing `.tflite` files without a converter, and asking the runtime who runs them.

Importing this package loads the flatbuffers schema but no runtime.
"""

from netspec.delegation import Delegation, delegation
from netspec.tflite.encode import FileOptions, encode

__all__ = ["Delegation", "FileOptions", "delegation", "encode"]
