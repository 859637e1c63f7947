"""A `benchmark_model` on this machine's disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from device_agent.benchmark_model.flags import Kind, npu_flags
from device_agent.errors import RunnerMissing, RunnerRefused
from netspec.protocol import Delegate

#: a source file that the LiteRT tool names in its log, in the program's text; flags do not tell the
#: two apart: TFLite's tool has `require_full_delegation`, too
_LITERT_TEXT = b"benchmark_litert_model"
#: of the summary that TFLite's tool prints, in every era; the LiteRT tool carries it, too
_TFLITE_TEXT = b"nference timings in us"
#: what LiteRT reaches an NPU through, and what makes models of TFLite into its own on the device
_NPU_LIBRARIES = ("libLiteRtDispatch", "libLiteRtCompilerPlugin")
#: flags by which a program is given an image and says what comes of it: TFLite's tool has both
#: since TensorFlow 2.10, the LiteRT tool has not
_IMAGE_FLAGS = ("input_layer_value_files", "output_filepath")


@dataclass(frozen=True)
class Program:
    """Its bytes, and which of the two programs of the name it is."""

    content: bytes
    kind: Kind
    #: as its maker counts, `unknown` where nobody said
    version: str
    #: shared libraries that it loads, by file name
    libraries: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Of the content, hex; with libraries, of all that computes."""
        own = hashlib.sha256(self.content).hexdigest()
        if not self.libraries:
            return own
        others = (
            f"{name} {hashlib.sha256(content).hexdigest()}"
            for name, content in sorted(self.libraries.items())
        )
        return hashlib.sha256("\n".join((own, *others)).encode()).hexdigest()

    @property
    def lacks_for_images(self) -> str:
        """Why it runs no test images, and what does; empty where it does."""
        lacking = [flag for flag in _IMAGE_FLAGS if not self.knows(flag)]
        if self.kind == "tflite" and not lacking:
            return ""
        named = " and ".join(f"--{flag}" for flag in lacking or _IMAGE_FLAGS)
        return (
            f"{self.name} has no {named}; give TFLite's benchmark_model of TensorFlow 2.10 or later"
        )

    def knows(self, flag: str) -> bool:
        """Whether it has a flag of this name."""
        return flag.encode() in self.content

    def command(
        self, runner: PurePosixPath, delegate: Delegate, pinned: Sequence[str]
    ) -> tuple[str, ...]:
        """How it is launched, but for the flags that say what of.

        Args:
            runner: where it lies on the device, with its libraries beside it.
            delegate: that runs the models.
            pinned: the command that pins it; empty: none.

        Raises:
            RunnerRefused: a library is missing without which the delegate does not work.
        """
        folder = runner.parent
        shown = ("env", f"LD_LIBRARY_PATH={folder}") if self.libraries else ()
        if delegate != "npu":
            return (*shown, *pinned, str(runner))
        self._require_npu_libraries()
        # The variable is where Qualcomm's looks for what it loads.
        npu = (f"ADSP_LIBRARY_PATH={folder}", *pinned, str(runner), *npu_flags(folder))
        return (*shown, *npu)

    @property
    def name(self) -> str:
        """Kind and version, for a target's `runtime`."""
        return f"benchmark_model {self.kind} {self.version}"

    def _require_npu_libraries(self) -> None:
        for prefix in _NPU_LIBRARIES:
            if not any(name.startswith(prefix) for name in self.libraries):
                raise RunnerRefused(
                    f"an NPU is reached through {prefix}_MAKER.so, which is not given; name it and "
                    "the libraries of the NPU's maker that it loads with --library"
                )


def read_program(path: Path, version: str = "unknown") -> Program:
    """A program from disk.

    Raises:
        RunnerMissing: there is no such file.
        RunnerRefused: it is neither of the two programs.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunnerMissing(
            f"there is no benchmark_model at {path} ({error.strerror}); fetch one with "
            "`device-agent runner fetch`, or give the path of yours"
        ) from error
    if _LITERT_TEXT in content:
        return Program(content, "litert", version)
    if _TFLITE_TEXT in content:
        return Program(content, "tflite", version)
    raise RunnerRefused(
        f"{path} is no benchmark_model, neither the TFLite tool nor LiteRT's; give one of these, "
        "or fetch one with `device-agent runner fetch`"
    )


def with_libraries(program: Program, paths: Sequence[Path]) -> Program:
    """The program with the libraries that it loads.

    Raises:
        RunnerMissing: one is not there.
    """
    try:
        libraries = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise RunnerMissing(
            f"there is no library at {error.filename} ({error.strerror}); give the path of one "
            "that the runner loads"
        ) from error
    return replace(program, libraries=libraries)
