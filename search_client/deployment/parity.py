"""Is the `.tflite` file what torch trained? Compared number by number before it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from netspec.errors import UserError
from netspec.layers import Float32Array
from search_client.data.batches import normalise
from search_client.deployment.layer_outputs import layer_outputs
from search_client.deployment.litert import Kernels, TFLiteClassifier
from search_client.deployment.logits import file_logits, to_pixels, torch_logits

KERNEL_SETS: tuple[Kernels, ...] = ("reference", "builtin", "xnnpack")
#: images at most that the reference kernels run, evenly out of all: they take five times as long as
#: the others together
MOST_BY_REFERENCE = 300
#: greatest difference of a logit, relative to the greatest logit
FLOAT32_TOLERANCE = 1e-3
#: float16 weights are rounded to 11 bits
FLOAT16_TOLERANCE = 2e-2
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
    images: Tensor,
    labels: Tensor,
    *,
    kernel_sets: Sequence[Kernels] = KERNEL_SETS,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Compare a file with the network that it came from, on each kernel set.

    Args:
        file: a `.tflite` classifier.
        model: takes normalised images; is left in evaluation mode.
        images: uint8 [N, 3, H, W], at the network's input size.
        labels: int64 [N].
        kernel_sets: on which.
        on_image: called with the images done and all, over the kernel sets.
    """
    of_torch, true = torch_logits(model, images), labels.numpy()
    pixels = to_pixels(images)
    parity: dict[Kernels, Parity] = {}
    strays = np.zeros(len(images), np.float32)
    run = {kernels: _images_run(kernels, len(images)) for kernels in kernel_sets}
    total, before = sum(map(len, run.values())), 0
    for kernels, chosen in run.items():

        def show(done: int, before: int = before) -> None:
            on_image(before + done, total)

        logits, scale = file_logits(file, kernels, pixels[chosen], show)
        parity[kernels] = compare(logits, of_torch[chosen], true[chosen], scale)
        differences = np.abs(logits - of_torch[chosen]).max(axis=1)
        strays[chosen] = np.maximum(strays[chosen], differences)
        before += len(chosen)
    return Verification(
        images=len(images),
        parity=parity,
        greatest_logit=float(np.abs(of_torch).max()),
        worst_image=int(strays.argmax()),
    )


def _images_run(kernels: Kernels, images: int) -> npt.NDArray[np.intp]:
    """Return the indices of the images that a kernel set runs."""
    most = MOST_BY_REFERENCE if kernels == "reference" else images
    return np.linspace(0, images - 1, min(images, most)).astype(np.intp)


def first_difference(file: bytes, model: nn.Module, image: Tensor) -> FirstDifference | None:
    """Where a file first strays from torch for one image, uint8 [3, H, W]; None: nowhere.

    A layer strays where it differs by more than `_STRAYS` of its greatest value. The runtime's
    own kernels are asked: delegated layers keep their numbers to themselves.
    """
    of_file = TFLiteClassifier(file, "builtin", keep_layers=True).layers(
        to_pixels(image[np.newaxis])[0]
    )
    for name, wanted in layer_outputs(model, normalise(image[np.newaxis])).items():
        greatest = float(np.abs(wanted).max())
        relative = float(np.abs(of_file[name] - wanted).max()) / max(greatest, 1e-6)
        if not relative <= _STRAYS:  # also where it is no number
            return FirstDifference(name, relative)
    return None


#: some codes of 255: rounding alone moves a code by one or two
_STRAYS = 0.03


def require(
    verification: Verification,
    precision: str,
    name: str,
    locate: Callable[[], FirstDifference | None] = lambda: None,
) -> None:
    """Refuses a file that strays.

    Args:
        verification: of the file.
        precision: `float32`, `float16` or `int8`.
        name: of the network, for the message.
        locate: finds the layer that is named in the message.

    Raises:
        ParityFailed: float logits differ by more than their tolerance, or a kernel set agrees
            with torch, but for ties, on fewer images than `LEAST_AGREEMENT`.
    """
    tolerance = {"float32": FLOAT32_TOLERANCE, "float16": FLOAT16_TOLERANCE}.get(precision)
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
