"""Files of weights by other programs: names and tensors, and nothing that runs when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from netspec.errors import UserError

StateDict = dict[str, Tensor]

#: under which training programs keep the tensors beside other things, the averaged ones first
_WRAPPERS = ("state_dict_ema", "state_dict", "model_ema", "model")
#: what wraps a model puts this before every name
_PREFIX = "module."


class BadWeights(UserError):
    """A file's weights cannot be read, or are not those of a network."""


def read_state_dict(path: Path) -> StateDict:
    """Tensors by name out of a `.safetensors` file, or one that `torch.save` wrote.

    The latter is read as tensors, numbers, texts and collections of them: code in it is refused.

    Raises:
        BadWeights: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise BadWeights(f"there are no weights {path}; give a .safetensors or .pth file")
    try:
        content = _load(path)
    except Exception as error:
        # Both readers raise what the damage makes them raise.
        raise BadWeights(
            f"{path} holds no tensors that can be read ({type(error).__name__}); expected "
            "a .safetensors file, or a .pth file with a state dict and no code"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not content:
        raise BadWeights(f"{path} holds no state dict; expected tensors by name")
    strange = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise BadWeights(
            f"{path}: {strange[0]} is no tensor but {type(content[strange[0]]).__name__}; expected "
            "a state dict, or one under the name state_dict"
        )
    return {str(name).removeprefix(_PREFIX): tensor for name, tensor in content.items()}


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
