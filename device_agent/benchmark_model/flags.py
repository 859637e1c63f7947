"""The command line of a visit, for both programs called `benchmark_model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Literal

from device_agent.errors import RunnerRefused
from netspec.protocol import Delegate, MeasurementProtocol

#: the TFLite interpreter's tool, and LiteRT's CompiledModel tool
Kind = Literal["tflite", "litert"]

#: caps each phase; far above what any visit takes, below what a script waits for
MAX_PHASE_S = 60
_MS_PER_S = 1000


#: without these, a GPU computes in half precision and TFLite's tool may fall back to OpenGL, and
#: NNAPI to the CPU
_OPTIONS: dict[tuple[Kind, Delegate], dict[str, str]] = {
    ("litert", "gpu"): {"allow_fp16": "false"},
    ("tflite", "gpu"): {"gpu_backend": "cl", "gpu_precision_loss_allowed": "false"},
    ("tflite", "nnapi"): {"disable_nnapi_cpu": "true", "nnapi_allow_fp16": "false"},
}
_ACCELERATOR = "nnapi_accelerator_name"
_OPTION = re.compile(r"(?P<name>[a-z0-9_]+)=(?P<value>[^\s\0]+)")
#: flags that are the agent's own
_OURS = re.compile(
    r"graph|input_layer.*|output_.*|num_runs|min_secs|max_secs|warmup_.*|num_threads|use_.*|require_full_delegation|"
    r"enable_op_profiling|max_profiling.*|dispatch_library_path|compiler_plugin_library_path"
)
#: of `_OPTIONS`, those that a program may be too old for; then it computes as it likes
_NEW_OPTIONS = frozenset({"allow_fp16"})
_OFFERED: dict[Kind, tuple[Delegate, ...]] = {
    "tflite": ("xnnpack", "gpu", "nnapi", "none"),
    "litert": ("xnnpack", "gpu", "npu"),
}
_TOOLS: dict[Kind, str] = {"tflite": "the TFLite", "litert": "the LiteRT"}
#: of LiteRT: they take `--num_threads` and run one thread
_DEAF_TO_THREADS = frozenset({"2.0.2", "2.0.3"})


def runner_options(
    kind: Kind,
    delegate: Delegate,
    given: Sequence[str],
    knows: Callable[[str], bool] = lambda _: True,
) -> tuple[str, ...]:
    """The flags, as `NAME=VALUE`, that decide what is computed and where: part of the target.

    Args:
        kind: which of the two programs.
        delegate: that runs the models.
        given: by the user; they go over those that the delegate gets anyway.
        knows: whether the program has a flag of this name.

    Raises:
        RunnerRefused: one is no flag, or the agent's own; or NNAPI is given no accelerator.
    """
    usual = _OPTIONS.get((kind, delegate), {})
    options = {
        name: value for name, value in usual.items() if name not in _NEW_OPTIONS or knows(name)
    }
    for text in given:
        match = _OPTION.fullmatch(text)
        if match is None or _OURS.fullmatch(match["name"]):
            raise RunnerRefused(
                f"--runner-flag {text} cannot be passed on; write NAME=VALUE, of a flag that the "
                "agent does not set itself"
            )
        options[match["name"]] = match["value"]
    if delegate == "nnapi" and _ACCELERATOR not in options:
        raise RunnerRefused(
            "NNAPI would take whichever accelerator it likes, the CPU among them; name one with "
            f"--runner-flag {_ACCELERATOR}=NAME"
        )
    return tuple(f"{name}={value}" for name, value in sorted(options.items()))


def check_threads(kind: Kind, version: str, threads: int) -> None:
    """Refuse versions that do not run as many threads as they are told to.

    Raises:
        RunnerRefused: this is one.
    """
    if kind == "litert" and threads > 1 and version in _DEAF_TO_THREADS:
        raise RunnerRefused(
            f"LiteRT {version} takes --num_threads and runs one thread; fetch 2.1.0 or later"
        )


def visit_flags(
    kind: Kind, delegate: Delegate, threads: int, protocol: MeasurementProtocol
) -> tuple[str, ...]:
    """All flags of a visit but `--graph`.

    `num_runs` and `min_secs` are both minimums, for the warm-up and for the counted runs alike.

    Raises:
        RunnerRefused: this program does not offer the delegate, or not with so many threads.
    """
    if not offers(kind, delegate):
        others = " or ".join(f"{_TOOLS[one]} one" for one in _OFFERED if offers(one, delegate))
        raise RunnerRefused(
            f"{_TOOLS[kind]} benchmark_model does not offer the delegate {delegate!r}; choose "
            f"{', '.join(_OFFERED[kind])}, or {others}"
        )
    common = (
        f"--num_runs={protocol.min_runs}",
        f"--min_secs={protocol.measure_ms / _MS_PER_S:g}",
        f"--max_secs={MAX_PHASE_S}",
        "--warmup_runs=2",
        f"--warmup_min_secs={protocol.warmup_ms / _MS_PER_S:g}",
        f"--num_threads={threads}",
    )
    return common + (_tflite(delegate) if kind == "tflite" else _litert(delegate))


def image_flags(delegate: Delegate, threads: int) -> tuple[str, ...]:
    """All flags of a launch of TFLite's tool that runs one image, but those that name files.

    The run that warms up is given the image, too.
    """
    return (
        "--num_runs=1",
        "--min_secs=0",
        f"--max_secs={MAX_PHASE_S}",
        "--warmup_runs=1",
        "--warmup_min_secs=0",
        f"--num_threads={threads}",
        *_tflite(delegate),
    )


def image_file_flags(shape: Sequence[int], image: str, outputs: str) -> tuple[str, ...]:
    """Flags that give a model of one input an image, and have its outputs written.

    Args:
        shape: of the input.
        image: the file with its bytes; neither path has a colon or comma.
        outputs: the file for the bytes of all outputs, one after the other.
    """
    # What the input is called there is only spoken of where the model calls it otherwise.
    return (
        "--input_layer=image",
        f"--input_layer_shape={','.join(map(str, shape))}",
        f"--input_layer_value_files=image:{image}",
        f"--output_filepath={outputs}",
    )


def profile_flags(kind: Kind, flags: tuple[str, ...]) -> tuple[str, ...]:
    """The flags of a launch that profiles what a launch with these flags runs."""
    return (*flags, f"--{'enable_op_profiling' if kind == 'tflite' else 'use_profiler'}=true")


def offers(kind: Kind, delegate: Delegate) -> bool:
    """Whether the program offers the delegate."""
    return delegate in _OFFERED[kind]


def can_profile(delegate: Delegate) -> bool:
    """Whether the program may tell what each layer took; a trial shows whether it does.

    A GPU's or an accelerator's delegate fuses layers, and runs them when it likes.
    """
    return delegate in ("xnnpack", "none")


def _tflite(delegate: Delegate) -> tuple[str, ...]:
    # Only XNNPACK is on by default. The others are not said to be off: a build without them would
    # not know the flag.
    xnnpack = f"--use_xnnpack={'true' if delegate == 'xnnpack' else 'false'}"
    return (xnnpack,) if delegate in ("xnnpack", "none") else (xnnpack, f"--use_{delegate}=true")


def _litert(delegate: Delegate) -> tuple[str, ...]:
    if delegate == "xnnpack":
        return ("--use_cpu=true",)
    return ("--use_cpu=false", f"--use_{delegate}=true", "--require_full_delegation=true")


def npu_flags(folder: PurePosixPath) -> tuple[str, ...]:
    """Flags that tell LiteRT's tool where on the device an NPU's libraries lie."""
    return (f"--dispatch_library_path={folder}", f"--compiler_plugin_library_path={folder}")
