"""LiteRT's C library, for what its Python does not offer: the profile of a run.

Needs nothing but the standard library. Nobody promises that the library's functions and
structures stay as they are: whoever uses this checks what comes out, and does without where it
is not what was expected. Source: `litert/c` of github.com/google-ai-edge/LiteRT.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from ctypes import byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint64, c_void_p
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, TypeAlias

_LIBRARY = "libLiteRt.so"
#: `kLiteRtHwAcceleratorCpu`, `kLiteRtTensorBufferLockModeWrite`
_CPU = 1
_WRITE = 1
#: one that a delegate ran: `DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT`; and one that none ran:
#: `OPERATOR_INVOKE_EVENT`
_DELEGATE_KERNEL = 1 << 3
_OPERATOR = 1 << 1
#: handles of tensor buffers, as C takes them
Buffers: TypeAlias = "ctypes.Array[c_void_p]"
#: more than any `LiteRtRankedTensorType`, in words
_TYPE_WORDS = 64


class LibraryUnusable(Exception):
    """The library is not there, or does something else than expected; the text says what."""


class _Event(ctypes.Structure):
    """`ProfiledEventData`."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_int64 * 6),
        ("index", c_uint64),
        ("more", c_uint64),
        ("source", c_int),
    )


class ProfiledModel:
    """A model on XNNPACK with one thread, whose runs tell what each kernel took.

    At the end of its block it is destroyed: its profiler alone holds 64 MB.

    Args:
        path: of the `.tflite` file.
        inputs: bytes of each of its inputs.
        allow_partial: whether XNNPACK may leave a part of the graph to other kernels.

    Raises:
        LibraryUnusable: it cannot be profiled here.
    """

    def __init__(self, path: str, inputs: Sequence[bytes], *, allow_partial: bool = False) -> None:
        self._library = _load()
        self._allow_partial = allow_partial
        with ExitStack() as stack:
            self._make(path, inputs, stack)
            self._handles = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handles.close()

    def _make(self, path: str, inputs: Sequence[bytes], stack: ExitStack) -> None:
        environment, model, options = c_void_p(), c_void_p(), c_void_p()
        self._call("LiteRtCreateEnvironment", c_int(0), None, byref(environment))
        stack.callback(self._destroy, "Environment", environment)
        self._call("LiteRtCreateModelFromFile", environment, path.encode(), byref(model))
        stack.callback(self._destroy, "Model", model)
        self._call("LiteRtCreateOptions", byref(options))
        stack.callback(self._destroy, "Options", options)
        self._call("LiteRtSetOptionsHardwareAccelerators", options, c_int(_CPU))
        self._add_options(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._model = c_void_p()
        self._call("LiteRtCreateCompiledModel", environment, model, options, byref(self._model))
        stack.callback(self._destroy, "CompiledModel", self._model)
        whole = c_bool()
        self._call("LiteRtCompiledModelIsFullyAccelerated", self._model, byref(whole))
        if not (whole.value or self._allow_partial):
            raise LibraryUnusable("XNNPACK does not run the whole graph")
        self._inputs = self._buffers(environment, model, "Input", stack)
        self._outputs = self._buffers(environment, model, "Output", stack)
        self._fill(inputs)
        self._profiler = c_void_p()
        self._call("LiteRtCompiledModelGetProfiler", self._model, byref(self._profiler))

    def run(self) -> None:
        """One run."""
        self._call(
            "LiteRtRunCompiledModel",
            self._model,
            c_size_t(0),
            c_size_t(len(self._inputs)),
            self._inputs,
            c_size_t(len(self._outputs)),
            self._outputs,
        )

    def start(self) -> None:
        """From here on kernels are timed; what was seen before is forgotten."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)

    def stop(self) -> list[tuple[str, int]]:
        """Kinds and times (whole us, cut off) of the kernels that ran since `start`, in order.

        Raises:
            LibraryUnusable: the events are not what they should be.
        """
        self._call("LiteRtStopProfiler", self._profiler)
        count = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        if count.value < 1:
            raise LibraryUnusable("a profiled run left no events")
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        kernels = [event for event in events if event.kind in (_DELEGATE_KERNEL, _OPERATOR)]
        indexes = [event.index for event in kernels if event.kind == _DELEGATE_KERNEL]
        if not _in_order(indexes, several=self._allow_partial):
            raise LibraryUnusable("the kernels of a profiled run are not numbered in order")
        return [(event.tag.decode(errors="replace"), event.elapsed_us) for event in kernels]

    def _add_options(self, options: c_void_p, name: bytes, text: bytes) -> None:
        libc = ctypes.CDLL(None)
        libc.strdup.restype = c_void_p
        # The library frees it.
        payload, free = c_void_p(libc.strdup(text)), ctypes.cast(libc.free, c_void_p)
        opaque = c_void_p()
        self._call("LiteRtCreateOpaqueOptions", name, payload, free, byref(opaque))
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _buffers(
        self, environment: c_void_p, model: c_void_p, side: str, stack: ExitStack
    ) -> Buffers:
        graph, count = c_void_p(), c_size_t()
        self._call("LiteRtGetModelSubgraph", model, c_size_t(0), byref(graph))
        self._call(f"LiteRtGetNumSubgraph{side}s", graph, byref(count))
        buffers: Buffers = (c_void_p * count.value)()
        for index in range(count.value):
            buffer = self._buffer(environment, graph, side, index)
            stack.callback(self._destroy, "TensorBuffer", buffer)
            buffers[index] = buffer.value
        return buffers

    def _buffer(self, environment: c_void_p, graph: c_void_p, side: str, index: int) -> c_void_p:
        tensor, needs, buffer = c_void_p(), c_void_p(), c_void_p()
        kind = (c_int64 * _TYPE_WORDS)()
        at = c_size_t(index)
        self._call(f"LiteRtGetSubgraph{side}", graph, at, byref(tensor))
        self._call("LiteRtGetRankedTensorType", tensor, kind)
        requirements = f"LiteRtGetCompiledModel{side}BufferRequirements"
        self._call(requirements, self._model, c_size_t(0), at, byref(needs))
        create = "LiteRtCreateManagedTensorBufferFromRequirements"
        self._call(create, environment, kind, needs, byref(buffer))
        return buffer

    def _fill(self, inputs: Sequence[bytes]) -> None:
        if len(inputs) != len(self._inputs):
            raise LibraryUnusable(f"the model takes {len(self._inputs)} inputs, not {len(inputs)}")
        for buffer, content in zip(self._inputs, inputs, strict=True):
            size, memory, filled = c_size_t(), c_void_p(), c_void_p(buffer)
            self._call("LiteRtGetTensorBufferSize", filled, byref(size))
            if size.value < len(content):
                raise LibraryUnusable(f"an input takes {size.value} bytes, not {len(content)}")
            self._call("LiteRtLockTensorBuffer", filled, byref(memory), c_int(_WRITE))
            ctypes.memmove(memory, content, len(content))
            self._call("LiteRtUnlockTensorBuffer", filled)

    def _call(self, name: str, *arguments: Any) -> None:
        if status := self._function(name)(*arguments):
            raise LibraryUnusable(f"{name} failed with status {status}")

    def _destroy(self, kind: str, handle: c_void_p) -> None:
        destroy = self._function(f"LiteRtDestroy{kind}")
        destroy.restype = None
        destroy(handle)

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._library, name)
        except AttributeError as error:
            raise LibraryUnusable(f"{_LIBRARY} has no {name}") from error


def _in_order(indexes: Sequence[int], *, several: bool) -> bool:
    """Whether kernels are numbered one after the other, in each of several parts of a graph."""
    following = pairwise([-1, *indexes])
    return all(now == before + 1 or (several and now == 0) for before, now in following)


def _load() -> ctypes.CDLL:
    spec = importlib.util.find_spec("ai_edge_litert")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / _LIBRARY
        if path.exists():
            return ctypes.CDLL(str(path))
    raise LibraryUnusable(f"there is no {_LIBRARY}, which comes with ai-edge-litert")
