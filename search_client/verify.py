"""Is the `.tflite` file what torch trained? Compared number by number before it is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspec.errors import UserError
from netspec.layers import Float32Array
from netspec.operators import Precision

#: greatest difference of a float32 logit, relative to the greatest logit
FLOAT32_TOLERANCE = 1e-3
#: least share of images on which an int8 file agrees with fake quantization
INT8_AGREEMENT = 0.995


class ParityFailed(UserError):
    """A `.tflite` file does not compute what torch computes."""


@dataclass(frozen=True)
class Parity:
    """A file's logits against torch's, over the same images."""

    #: top-1 of the file itself, 0 to 1
    accuracy: float
    #: share of images on which both choose the same class
    top1_agreement: float
    #: greatest absolute difference of a logit
    max_difference: float
    #: the same in output steps, None for float32
    max_steps: int | None


def compare(
    of_file: Float32Array,
    of_torch: Float32Array,
    labels: npt.NDArray[np.int64],
    output_scale: float | None,
) -> Parity:
    """Parity of two sets of logits [N, classes] under the true labels [N]."""
    chosen = of_file.argmax(axis=1)
    difference = float(np.abs(of_file - of_torch).max())
    return Parity(
        accuracy=float((chosen == labels).mean()),
        top1_agreement=float((chosen == of_torch.argmax(axis=1)).mean()),
        max_difference=difference,
        max_steps=None if output_scale is None else round(difference / output_scale),
    )


def require(parity: Parity, precision: Precision, of_torch: Float32Array, name: str) -> None:
    """Refuses a file that strays.

    Raises:
        ParityFailed: float32 logits differ by more than `FLOAT32_TOLERANCE`, or int8 agrees on
            fewer images than `INT8_AGREEMENT`.
    """
    if precision == "float32":
        limit = FLOAT32_TOLERANCE * max(1.0, float(np.abs(of_torch).max()))
        if parity.max_difference > limit:
            raise ParityFailed(
                f"{name}: logits of the float32 file differ from torch by "
                f"{parity.max_difference:.2g}, more than {limit:.2g}; the file was not written"
            )
    elif parity.top1_agreement < INT8_AGREEMENT:
        raise ParityFailed(
            f"{name}: the int8 file agrees with fake quantization on "
            f"{parity.top1_agreement:.2%} of the images, less than {INT8_AGREEMENT:.1%}; "
            "the file was not written: finetune longer or at a lower learning rate"
        )
