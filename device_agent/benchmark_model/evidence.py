"""Who ran the graph, from what `benchmark_model` says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from device_agent.benchmark_model.failures import lacks_npu
from device_agent.errors import DelegateRefused
from netspec.delegation import Delegation
from netspec.protocol import Delegate

#: how the tools call them
_NAMES: dict[Delegate, str] = {
    "xnnpack": "XNNPACK",
    "gpu": "GPU",
    "nnapi": "NNAPI",
    "npu": "NPU",
}
#: in `Replacing 58 out of 58 node(s) with delegate (NAME) node, yielding 1 partitions`
_KERNELS: dict[Delegate, re.Pattern[str]] = {
    "xnnpack": re.compile(r"XNNPack", re.IGNORECASE),
    "gpu": re.compile(r"GPU|ML_?DRIFT|LiteRt.*(?:Cl|Gl|WebGpu)", re.IGNORECASE),
    "nnapi": re.compile(r"NnApi", re.IGNORECASE),
    "npu": re.compile(r"^DispatchDelegate$"),
}
_REPLACING = re.compile(
    r"Replacing (?P<taken>[0-9]+) out of (?P<all>[0-9]+) node\(s\) with delegate "
    r"\((?P<name>[^)]*)\)"
)
#: what a compiler of LiteRT's for NPUs took of a graph, before all that is left of it is replaced
_COMPILED = re.compile(
    r"Partitioned subgraph<[0-9]+>, selected (?P<taken>[0-9]+) ops, from a total of (?P<all>[0-9]+)"
)
#: which interface a GPU was driven by, and what `gpu_backend` calls it
_API = re.compile(r"Initialized (Open[CG]L)-based API")
_APIS = {"cl": "OpenCL", "gl": "OpenGL"}
_ACCELERATORS = re.compile(r"NNAPI accelerators available: \[(?P<names>[^\]]*)\]")
_PARTS: dict[Delegation, str] = {"none": "nothing", "partial": "only a part"}
_WHAT_TO_DO = "change the operators that it does not support, or their types"


@dataclass(frozen=True)
class DelegationProof:
    """How much of a graph the delegate ran, and the words that prove it."""

    delegation: Delegation
    #: the tool's
    words: str
    #: of the graph; None where the tool does not count them
    operators: int | None = None
    #: those that the delegate ran; None where the tool does not count them
    delegated: int | None = None


def require_delegation(
    text: str, delegate: Delegate, *, allow_partial: bool = False
) -> DelegationProof:
    """The proof of who ran the graph.

    The TFLite tool says it in a sentence for each delegate that it was told to apply; the LiteRT
    tool leaves it to the runtime's line on replaced nodes.

    Args:
        text: both streams of one launch, merged.
        delegate: that must have taken every node; with `none`, no delegate may have taken one.
        allow_partial: whether it is enough that it took some.

    Raises:
        DelegateRefused: there is no proof, or proof of the contrary.
    """
    replaced = list(_REPLACING.finditer(text))
    if delegate == "none":
        if replaced:
            raise DelegateRefused(
                f"a delegate ran the graph though none was wanted: {replaced[0][0]}"
            )
        return DelegationProof("none", "no delegate")
    proof = _proof(text, delegate, replaced)
    if proof.delegation == "none" or (proof.delegation == "partial" and not allow_partial):
        raise DelegateRefused(f"{_refusal(proof, _NAMES[delegate])}; {_WHAT_TO_DO}")
    return proof


def check_backend(text: str, options: Sequence[str]) -> None:
    """Refuse a launch that ran elsewhere than its flags say.

    Args:
        text: both streams of one launch, merged.
        options: flags that decide where, as `NAME=VALUE`.

    Raises:
        DelegateRefused: the GPU fell back to another interface, or the accelerator is not there.
    """
    named = dict(option.split("=", 1) for option in options)
    wanted = _APIS.get(named.get("gpu_backend", ""))
    used = set(_API.findall(text))
    if wanted and used - {wanted}:
        raise DelegateRefused(
            f"the GPU ran through {', '.join(sorted(used))}, and the target says {wanted}; "
            "--runner-flag gpu_backend=gl makes it another target"
        )
    accelerator, listed = named.get("nnapi_accelerator_name"), _ACCELERATORS.search(text)
    if accelerator and listed is not None:
        there = [name.strip() for name in listed["names"].split(",")]
        if accelerator not in there:
            raise DelegateRefused(
                f"the device has no NNAPI accelerator {accelerator}; it has {', '.join(there)}"
            )


def _proof(text: str, delegate: Delegate, replaced: list[re.Match[str]]) -> DelegationProof:
    name = _NAMES[delegate]
    if delegate == "npu" and lacks_npu(text):
        raise DelegateRefused(
            "LiteRT found no NPU that it can use: are the libraries that --library names for this "
            "one, and all that they load among them?"
        )
    counted = _counted(text, delegate, replaced)
    sentence = re.search(
        rf"(?:Explicitly applied|Though) {name} delegate[^\n]*", text, re.IGNORECASE
    )
    if sentence is not None:
        told = (None, None) if counted is None else (counted.operators, counted.delegated)
        return DelegationProof(_by_sentence(sentence[0]), sentence[0], *told)
    if counted is None:
        raise DelegateRefused(
            f"benchmark_model shows no sign that {name} ran the graph; does this device offer it?"
        )
    return counted


def _counted(
    text: str, delegate: Delegate, replaced: list[re.Match[str]]
) -> DelegationProof | None:
    """What the runtime's counts of nodes say of a delegate; None: they do not speak of it."""
    found = next((match for match in replaced if _KERNELS[delegate].search(match["name"])), None)
    if found is None:
        return None
    words, taken, operators = found[0], int(found["taken"]), int(found["all"])
    if delegate == "npu" and taken and (compiled := [*_COMPILED.finditer(text)]):
        # The nodes that were replaced are compiled ones, each of many operators.
        left = operators - taken
        taken = sum(int(match["taken"]) for match in compiled)
        operators = max(sum(int(match["all"]) for match in compiled), taken + left)
        words = f"{compiled[0][0]} ops; {words}"
    extent: Delegation = "full" if taken == operators else "partial" if taken else "none"
    return DelegationProof(extent, words, operators, taken)


def _by_sentence(sentence: str) -> Delegation:
    if "will be completely executed by" in sentence:
        return "full"
    return "partial" if "partially executed by" in sentence else "none"


def _refusal(proof: DelegationProof, name: str) -> str:
    if proof.operators is not None:
        took = f"{proof.delegated} of {proof.operators} operators of the graph"
    else:
        took = f"{_PARTS[proof.delegation]} of the graph"
    return f"{name} took {took}, expected all of it ({proof.words.strip()})"
