"""Who ran the graph, from what `benchmark_model` says."""

from __future__ import annotations

import re

from device_agent.errors import DelegateRefused
from netspec.protocol import Delegate

#: how the tools call them
_NAMES: dict[Delegate, str] = {"xnnpack": "XNNPACK", "gpu": "GPU", "nnapi": "NNAPI"}
#: in `Replacing 58 out of 58 node(s) with delegate (NAME) node, yielding 1 partitions`
_KERNELS: dict[Delegate, re.Pattern[str]] = {
    "xnnpack": re.compile(r"XNNPack", re.IGNORECASE),
    "gpu": re.compile(r"GPU|LiteRt.*(?:Cl|Gl|WebGpu)", re.IGNORECASE),
    "nnapi": re.compile(r"NnApi", re.IGNORECASE),
}
_REPLACING = re.compile(
    r"Replacing (?P<taken>[0-9]+) out of (?P<all>[0-9]+) node\(s\) with delegate "
    r"\((?P<name>[^)]*)\)"
)


def require_delegation(text: str, delegate: Delegate) -> str:
    """The line that proves who ran the whole graph.

    The TFLite tool says it in a sentence for each delegate that it was told to apply; the LiteRT
    tool leaves it to the runtime's line on replaced nodes.

    Args:
        text: both streams of one launch, merged.
        delegate: that must have taken every node; with `none`, no delegate may have taken one.

    Raises:
        DelegateRefused: there is no proof, or proof of the contrary.
    """
    replaced = list(_REPLACING.finditer(text))
    if delegate == "none":
        if replaced:
            raise DelegateRefused(
                f"a delegate ran the graph though none was wanted: {replaced[0][0]}"
            )
        return "no delegate"
    name = _NAMES[delegate]
    sentence = re.search(
        rf"(?:Explicitly applied|Though) {name} delegate[^\n]*", text, re.IGNORECASE
    )
    if sentence is not None:
        return _whole(sentence[0], name)
    for match in replaced:
        if _KERNELS[delegate].search(match["name"]):
            if match["taken"] == match["all"]:
                return match[0]
            raise DelegateRefused(
                f"{name} took {match['taken']} of {match['all']} operators of the graph, expected "
                "all; change the operators that it does not support, or their types"
            )
    raise DelegateRefused(
        f"benchmark_model shows no sign that {name} ran the graph; does this device offer it?"
    )


def _whole(sentence: str, name: str) -> str:
    if "will be completely executed by" in sentence:
        return sentence
    took = "only a part" if "partially executed by" in sentence else "nothing"
    raise DelegateRefused(
        f"{name} took {took} of the graph, expected all of it ({sentence.strip()}); change the "
        "operators that it does not support, or their types"
    )
