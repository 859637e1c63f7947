"""Is the `.tflite` file what torch trained? Compared number by number before it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from netspec.errors import UserError
from netspec.layers import Float32Array
from search_client.data.batches import CentralCrops, normalise
from search_client.deployment.layer_outputs import layer_outputs
from search_client.deployment.litert import Kernels, TFLiteClassifier
from search_client.deployment.logits import FileLogits, to_pixels, torch_logits

KERNEL_SETS: tuple[Kernels, ...] = ("reference", "builtin", "xnnpack")
#: images at most that the reference kernels run, evenly out of all: they take five times as long as
#: the others together
MOST_BY_REFERENCE = 300
#: greatest difference of a logit, relative to the greatest logit
FLOAT32_TOLERANCE = 1e-3
#: float16 weights are rounded to 11 bits
FLOAT16_TOLERANCE = 2e-2
#: int16 activations are rounded to 16 bits, in other places by each kernel set
WIDE_TOLERANCE = 1e-2
#: a value between two int8 codes is rounded to either, and others follow
DYNAMIC_TOLERANCE = 5e-2
#: least share of images on which a file chooses as torch does
LEAST_AGREEMENT = 0.995
#: int8 classes whose logits are so few output steps apart are tied: the kernel sets themselves
#: differ from each other by as much
TIE_STEPS = 4


class ParityFailed(UserError):
    """A `.tflite` file does not compute what torch computes."""


@dataclass(frozen=True)
class Parity:
    """A file's logits against torch's, over the images that a kernel set ran."""

    #: top-1 of the file itself, 0 to 1
    accuracy: float
    #: share of images on which both choose the same class
    top1_agreement: float
    #: the same where a class that torch has within `TIE_STEPS` of its greatest logit counts, too
    tied_agreement: float
    #: greatest absolute difference of a logit
    max_difference: float
    #: the same in output steps, None for a float output
    max_steps: int | None


@dataclass(frozen=True)
class FirstDifference:
    """The first layer, in order of execution, where a file strays from torch."""

    layer: str
    #: greatest difference there, over the greatest magnitude in torch
    relative: float


@dataclass(frozen=True)
class Verification:
    """One file on every kernel set; under reference kernels on at most `MOST_BY_REFERENCE`."""

    images: int
    parity: dict[Kernels, Parity]
    #: greatest |logit| in torch
    greatest_logit: float
    #: image with the greatest difference, by its index
    worst_image: int

    @property
    def worst(self) -> Parity:
        """The accuracy under XNNPACK, and the worst of everything else."""
        sets = self.parity.values()
        steps = [parity.max_steps for parity in sets if parity.max_steps is not None]
        return Parity(
            accuracy=self.parity["xnnpack"].accuracy,
            top1_agreement=min(parity.top1_agreement for parity in sets),
            tied_agreement=min(parity.tied_agreement for parity in sets),
            max_difference=max(parity.max_difference for parity in sets),
            max_steps=max(steps, default=None),
        )


def compare(
    of_file: Float32Array,
    of_torch: Float32Array,
    labels: npt.NDArray[np.int64],
    output_scale: float | None,
) -> Parity:
    """Parity of two sets of logits [N, classes] under the true labels [N]."""
    chosen = of_file.argmax(axis=1)
    difference = float(np.abs(of_file - of_torch).max())
    # half a step more: logits are codes, up to the rounding of float32
    tie = 0.0 if output_scale is None else (TIE_STEPS + 0.5) * output_scale
    behind = of_torch.max(axis=1) - of_torch[np.arange(len(of_torch)), chosen]
    return Parity(
        accuracy=float((chosen == labels).mean()),
        top1_agreement=float((chosen == of_torch.argmax(axis=1)).mean()),
        tied_agreement=float((behind <= tie).mean()),
        max_difference=difference,
        max_steps=None if output_scale is None else round(difference / output_scale),
    )


def verify(
    file: bytes,
    model: nn.Module,
    compared: CentralCrops,
    *,
    kernel_sets: Sequence[Kernels] = KERNEL_SETS,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Compare a file with the network that it came from, on each kernel set.

    Images are read some at a time: there may be more of them than memory holds.

    Args:
        file: a `.tflite` classifier.
        model: takes normalised images; is left in evaluation mode.
        compared: images at the network's input size.
        kernel_sets: on which.
        on_image: called with the images done and all, over the kernel sets.
    """

    def runner(kernels: Kernels) -> Runner:
        logits = FileLogits(file, kernels)
        return lambda images, show: logits(to_pixels(images), show)

    runs = {kernels: runner(kernels) for kernels in kernel_sets}
    return compared_with(model, compared, runs, on_image)


#: logits [N, classes] for images uint8 [N, 3, S, S], telling how many are done, and the output's
#: step, None for float32
Runner = Callable[[Tensor, Callable[[int], None]], tuple[Float32Array, float | None]]


def compared_with(
    model: nn.Module,
    compared: CentralCrops,
    runs: Mapping[Kernels, Runner],
    on_image: Callable[[int, int], None],
) -> Verification:
    """Compare what runs a file in some ways with the network that it came from, as `verify`."""
    chosen = {kernels: _images_run(kernels, len(compared)) for kernels in runs}
    found: dict[Kernels, list[tuple[int, Parity]]] = {kernels: [] for kernels in runs}
    total, before, seen = sum(map(len, chosen.values())), 0, 0
    greatest, worst, worst_image = 0.0, -1.0, 0

    def show(done: int) -> None:
        on_image(before + done, total)

    for images, labels in compared:
        of_torch, true = torch_logits(model, images), labels.numpy()
        strays = np.zeros(len(images), np.float32)
        for kernels, run in runs.items():
            mine = np.isin(np.arange(seen, seen + len(images)), chosen[kernels])
            if not mine.any():
                continue
            logits, scale = run(images[torch.from_numpy(mine)], show)
            found[kernels].append((len(logits), compare(logits, of_torch[mine], true[mine], scale)))
            strays[mine] = np.maximum(strays[mine], np.abs(logits - of_torch[mine]).max(axis=1))
            before += len(logits)
        if not strays.max() <= worst:  # also where it is no number
            worst, worst_image = float(strays.max()), seen + int(strays.argmax())
        greatest = max(greatest, float(np.abs(of_torch).max()))
        seen += len(images)
    return Verification(
        images=seen,
        parity={kernels: _together(parts) for kernels, parts in found.items()},
        greatest_logit=greatest,
        worst_image=worst_image,
    )


def _together(parts: Sequence[tuple[int, Parity]]) -> Parity:
    """The parity over all images of some parts, each with its number of them."""
    total = sum(count for count, _ in parts)
    steps = [parity.max_steps for _, parity in parts if parity.max_steps is not None]

    def share(name: str) -> float:
        counts: list[int] = [round(count * getattr(parity, name)) for count, parity in parts]
        return sum(counts) / total

    return Parity(
        accuracy=share("accuracy"),
        top1_agreement=share("top1_agreement"),
        tied_agreement=share("tied_agreement"),
        max_difference=float(np.max([parity.max_difference for _, parity in parts])),
        max_steps=max(steps, default=None),
    )


def _images_run(kernels: Kernels, images: int) -> npt.NDArray[np.intp]:
    """Return the indices of the images that a kernel set runs."""
    most = MOST_BY_REFERENCE if kernels == "reference" else images
    return np.linspace(0, images - 1, min(images, most)).astype(np.intp)


def first_difference(file: bytes, model: nn.Module, image: Tensor) -> FirstDifference | None:
    """Where a file first strays from torch for one image, uint8 [3, H, W]; None: nowhere.

    A layer strays where it differs by more than `STRAYS` of its greatest value. The runtime's
    own kernels are asked: delegated layers keep their numbers to themselves.
    """
    of_file = TFLiteClassifier(file, "builtin", keep_layers=True).layers(
        to_pixels(image[np.newaxis])[0]
    )
    for name, wanted in layer_outputs(model, normalise(image[np.newaxis])).items():
        greatest = float(np.abs(wanted).max())
        relative = float(np.abs(of_file[name] - wanted).max()) / max(greatest, 1e-6)
        if not relative <= STRAYS:  # also where it is no number
            return FirstDifference(name, relative)
    return None


_TOLERANCES = {
    "float32": FLOAT32_TOLERANCE,
    "float16": FLOAT16_TOLERANCE,
    "int16x8": WIDE_TOLERANCE,
    "dynamic": DYNAMIC_TOLERANCE,
}
#: some codes of 255: rounding alone moves a code by one or two
STRAYS = 0.03


def require(
    verification: Verification,
    precision: str,
    name: str,
    locate: Callable[[], FirstDifference | None] = lambda: None,
) -> None:
    """Refuses a file that strays.

    Args:
        verification: of the file.
        precision: `float32`, `float16`, `int16x8`, `dynamic` or `int8`.
        name: of the network, for the message.
        locate: finds the layer that is named in the message.

    Raises:
        ParityFailed: float logits differ by more than their tolerance, or a kernel set agrees
            with torch, but for ties, on fewer images than `LEAST_AGREEMENT`.
    """
    tolerance = _TOLERANCES.get(precision)
    for kernels, parity in verification.parity.items():
        if tolerance is not None:
            limit = tolerance * max(1.0, verification.greatest_logit)
            if not parity.max_difference <= limit:
                raise ParityFailed(
                    f"{name}: logits of the {precision} file differ from torch by "
                    f"{parity.max_difference:.2g} under {kernels} kernels, more than {limit:.2g}; "
                    f"the file was not written: {_place(locate())}"
                )
        if not parity.tied_agreement >= LEAST_AGREEMENT:
            raise ParityFailed(
                f"{name}: under {kernels} kernels the {precision} file agrees with torch on "
                f"{parity.tied_agreement:.2%} of the images, less than {LEAST_AGREEMENT:.1%}; "
                f"the file was not written: {_place(locate())}"
            )


def _place(first: FirstDifference | None) -> str:
    if first is None:
        return (
            "no single layer strays, many small differences add up: finetune longer, or verify on "
            "more images"
        )
    return (
        f"layer {first.layer} is the first to stray, by {first.relative:.0%} of its greatest value"
    )
