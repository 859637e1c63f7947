"""A `benchmark_model` for fake phones: it measures nothing, and says what the tool would say."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from device_agent.benchmark_model.program import Program
from netspec.tflite.contents import operators_of
from tests.phones.energy import EnergyLaw
from tests.phones.fake_phone import FakePhone
from tests.phones.shell_io import Call
from tests.phones.thermal import ThermalCurve

#: what an arm64 program begins with, and words of TFLite's tool
_CONTENT = (b"\x7fELF\x02\x01\x01", bytes(11), struct.pack("<H", 183), b"Inference timings in us: ")
PROGRAM = Program(b"".join(_CONTENT), "tflite", "fake")
#: the same with the flags that images take
IMAGE_PROGRAM = Program(
    PROGRAM.content + b"input_layer_value_files output_filepath", "tflite", "fake"
)
_PHASE = "INFO: Running benchmark for at least {runs} iterations and at least 0.1 seconds but ...\n"
_LINE = (
    "INFO: count={count} first={us} curr={us} min={us} max={high} avg={us} std=1 p5={us} "
    "median={us} p95={high}\n\n"
)
_APPLIED = (
    "INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed "
    "by the delegate.\n"
)
_REFUSED = (
    "INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be executed "
    "by the delegate.\n"
)
_PARTLY = (
    "INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed "
    "by the delegate w/ 1 delegate kernels.\n"
)
_PROFILE = (
    "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n"
    "==== Run Order ====\n"
    "\t[node type]\t[start]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]\n"
)
_ROW = "\t{kind}\t0.000\t{ms}\t{ms}\t1.000%\t1.000%\t0.000\t10\t{name}:{index}\n"
_KERNELS = {
    "CONV_2D": "Convolution (NHWC, F32) IGEMM",
    "DEPTHWISE_CONV_2D": "Convolution (NHWC, F32) DWConv",
    "FULLY_CONNECTED": "Fully Connected (NC, F32) GEMM",
    "MEAN": "Mean (ND) Reduce",
    "ADD": "Add (ND)",
}


@dataclass
class FakeBenchmarkModel:
    """Answers each launch; a test changes what it does from then on."""

    #: of every run, us
    us: int = 500
    delegated: bool = True
    #: operators of files that the delegate leaves to other kernels
    undelegated: tuple[str, ...] = ()
    ignores: str = ""
    #: said before anything else
    chatter: str = ""
    #: said instead of anything else
    says: str = ""
    #: whether it knows `--enable_op_profiling`, and what it says of each layer, in whole us
    profiles: bool = True
    layer_us: int = 25
    exit_code: int = 0
    #: whether its version prints them
    percentiles: bool = True
    #: of the bytes of an image and of the model: those that are written as its outputs
    outputs: Callable[[bytes, bytes], bytes] | None = None
    #: how the phone warms up as it runs, and what a run takes then; None: it stays as it is
    curve: ThermalCurve | None = None
    #: what each launch takes of the phone's battery; None: nothing that is counted
    energy: EnergyLaw | None = None
    #: counted runs of each launch
    count: int = 20
    #: models launched, by name
    launched: list[str] = field(default_factory=list)
    #: called with the number of launches made, before each says its words
    before: list[object] = field(default_factory=list)

    def install(self, phone: FakePhone) -> None:
        """The phone calls it by this name."""
        phone.programs["benchmark_model"] = self

    async def __call__(self, call: Call) -> int:
        graph = next(arg.removeprefix("--graph=") for arg in call.args if "--graph=" in arg)
        self.launched.append(graph.rsplit("/", 1)[-1])
        for hook in self.before:
            assert callable(hook)
            hook(len(self.launched))
        flags = dict(arg[2:].split("=", 1) for arg in call.args if arg.startswith("--"))
        await self._run(call.phone, flags)
        words = self.says or self._words()
        if self.profiles and "--enable_op_profiling=true" in call.args:
            words += self._profile(call.phone.files.read(graph))
        if self.outputs is not None and "output_filepath" in flags:
            image = call.phone.files.read(flags["input_layer_value_files"].partition(":")[2])
            outputs = self.outputs(image, call.phone.files.read(graph))
            call.phone.files.write(flags["output_filepath"], outputs)
            words += "INFO: Memory footprint delta from the start of the tool (MB): init=1.5 "
            words += "overall=2.5\n"
        await call.out(self.chatter + words)
        return self.exit_code

    async def _run(self, phone: FakePhone, flags: Mapping[str, str]) -> None:
        """Time passes, the phone warms up, and energy is taken, as far as it has laws for them."""
        seconds = float(flags["min_secs"])
        if self.curve is not None:
            self.us = self.curve.warm(phone, seconds)
        if self.energy is not None:
            if self.curve is not None:
                self.energy.run_us = self.us
            self.count, self.us = await self.energy.launch(flags), self.energy.run_us
        elif self.curve is not None:
            await phone.pass_time(seconds)

    def _profile(self, file: bytes) -> str:
        rows = "".join(self._row(one.name, index) for index, one in enumerate(operators_of(file)))
        return f"{_PROFILE}{rows}\nTimings (microseconds): count=1 curr=1\n"

    def _row(self, name: str, index: int) -> str:
        left = name in self.undelegated
        kind = name if left else _KERNELS[name]
        name = f"[{kind}]" if left else f"Delegate/{kind}"
        ms = f"{self.layer_us / 1000:.3f}"
        return _ROW.format(kind=kind, name=name, ms=ms, index=index)

    def _words(self) -> str:
        warmup, line = (
            _LINE.format(count=count, us=self.us, high=self.us + 2) for count in (2, self.count)
        )
        if not self.percentiles:
            warmup, line = (f"{one.partition(' p5=')[0]}\n\n" for one in (warmup, line))
        return (
            "INFO: STARTING!\n"
            + (f"WARN: Unconsumed cmdline flags: {self.ignores}\n" if self.ignores else "")
            + (_PARTLY if self.undelegated else _APPLIED if self.delegated else _REFUSED)
            + _PHASE.format(runs=2)
            + warmup
            + _PHASE.format(runs=10)
            + line
            + f"INFO: Inference timings in us: Init: 900, First inference: {self.us}, "
            f"Warmup (avg): {self.us}, Inference (avg): {self.us}\n"
        )
