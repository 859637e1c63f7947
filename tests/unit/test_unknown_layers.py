"""A room that meets a kind of layer it does not know refuses it by name: none is left out."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch

from device_agent.runners.kernels import operators_of_kernels
from netspec.errors import UnknownLayer
from netspec.layers import ActivationRange, LayerGraph, LayerWeights, Parameters, Value
from netspec.operators import OperatorBase
from netspec.tflite import encode
from netspec.tflite.seeded_weights import seeded_parameters
from profiler_server.latency_model.features import work
from search_client.deployment.onnx_file import onnx_file
from search_client.networks.layers import OperatorModule
from search_client.quantization.network import QuantizedOperator
from search_client.quantization.ranges import Activations
from search_client.supernet.shared_weights import LargestOperator, SlicedOperator


class Strange(OperatorBase):
    """One layer of a kind that nobody knows."""

    kind: Literal["strange"] = "strange"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        gelu: Any = "gelu"
        return graph.activate("smooth", x, gelu)


STRANGE = Strange(input_size=4, in_channels=2, out_channels=2)
X = torch.zeros(1, 2, 4, 4)
WIDE = ActivationRange(-1, 1)
NO_WEIGHTS: dict[str, LayerWeights] = {}

ROOMS: dict[str, Callable[[], object]] = {
    "seeded weights": lambda: seeded_parameters((STRANGE,)),
    "encoder": lambda: encode(
        (STRANGE,), Parameters(NO_WEIGHTS, {"input": WIDE, "0.smooth": WIDE})
    ),
    "profiles": lambda: operators_of_kernels((STRANGE,), ("Convolution",)),
    "torch": lambda: OperatorModule(STRANGE)(X),
    "fake quantization": lambda: QuantizedOperator(STRANGE, None)(Activations(X)),
    "shared weights": lambda: SlicedOperator(STRANGE, LargestOperator([STRANGE]))(X),
    "latency model": lambda: work(STRANGE),
    "ONNX": lambda: onnx_file((STRANGE,), Parameters({}, {}), {}),
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_layer_of_an_unknown_kind_is_refused_by_name(room: str) -> None:
    with pytest.raises(UnknownLayer, match="knows no layers of the kind 'gelu', which smooth is"):
        ROOMS[room]()
