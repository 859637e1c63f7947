"""The command line of a visit, for both programs called `benchmark_model`."""

from __future__ import annotations

from typing import Literal

from device_agent.errors import RunnerRefused
from netspec.protocol import Delegate, MeasurementProtocol

#: the TFLite interpreter's tool, and LiteRT's CompiledModel tool
Kind = Literal["tflite", "litert"]

#: caps each phase; far above what any visit takes, below what a script waits for
MAX_PHASE_S = 60
_MS_PER_S = 1000


def visit_flags(
    kind: Kind, delegate: Delegate, threads: int, protocol: MeasurementProtocol
) -> tuple[str, ...]:
    """All flags of a visit but `--graph`.

    `num_runs` and `min_secs` are both minimums, for the warm-up and for the counted runs alike.

    Raises:
        RunnerRefused: this program does not offer the delegate, or not with so many threads.
    """
    common = (
        f"--num_runs={protocol.min_runs}",
        f"--min_secs={protocol.measure_ms / _MS_PER_S:g}",
        f"--max_secs={MAX_PHASE_S}",
        "--warmup_runs=2",
        f"--warmup_min_secs={protocol.warmup_ms / _MS_PER_S:g}",
        f"--num_threads={threads}",
    )
    return common + (_tflite(delegate) if kind == "tflite" else _litert(delegate))


def profile_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    """The flags of a launch that profiles what a launch with these flags runs."""
    return (*flags, "--enable_op_profiling=true")


def offers(kind: Kind, delegate: Delegate) -> bool:
    """Whether the program offers the delegate."""
    return kind == "tflite" or delegate in ("xnnpack", "gpu")


def can_profile(kind: Kind, delegate: Delegate) -> bool:
    """Whether the program may tell what each layer took.

    A GPU's or an accelerator's delegate fuses layers, and runs them when it likes; the LiteRT tool
    has another profile.
    """
    return kind == "tflite" and delegate in ("xnnpack", "none")


def _tflite(delegate: Delegate) -> tuple[str, ...]:
    # Only XNNPACK is on by default. The others are not said to be off: a build without them would
    # not know the flag.
    xnnpack = f"--use_xnnpack={'true' if delegate == 'xnnpack' else 'false'}"
    return (xnnpack,) if delegate in ("xnnpack", "none") else (xnnpack, f"--use_{delegate}=true")


def _litert(delegate: Delegate) -> tuple[str, ...]:
    match delegate:
        case "xnnpack":
            return ("--use_cpu=true",)
        case "gpu":
            return ("--use_cpu=false", "--use_gpu=true", "--require_full_delegation=true")
        case "nnapi" | "none":
            raise RunnerRefused(
                f"the LiteRT benchmark_model does not offer the delegate {delegate!r}; choose "
                "xnnpack or gpu, or the TFLite benchmark_model"
            )
