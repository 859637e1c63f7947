"""The kernels that this machine's runtime names are those of the layers, of every operator."""

from pathlib import Path

import pytest

from device_agent.runners.kernels import operators_of_kernels
from device_agent.runners.litert_library import LibraryUnusable, ProfiledModel
from netspec.tflite import encode
from tests.integration.netspec.test_every_operator import expected_delegation
from tests.unit.netspec.operators.examples import EXAMPLES


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kernel_of_an_operator_is_its_own(name: str, precision: str, tmp_path: Path) -> None:
    operator = EXAMPLES[name].model_copy(update={"precision": precision})
    file = tmp_path / "model.tflite"
    file.write_bytes(encode((operator,)))
    image = bytes(9 * 9 * 8 * (4 if precision == "float32" else 1))
    if expected_delegation(operator) != "full":
        with pytest.raises(LibraryUnusable, match="does not run the whole graph"):
            ProfiledModel(str(file), [image])
        return
    with ProfiledModel(str(file), [image]) as model:
        model.start()
        model.run()
        kinds = [kind for kind, _ in model.stop()]
    assert set(operators_of_kernels((operator,), kinds)) == {0}
