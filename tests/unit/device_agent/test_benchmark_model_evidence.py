from pathlib import Path

import pytest

from device_agent.benchmark_model.evidence import DelegationProof, require_delegation
from device_agent.benchmark_model.flags import Kind, runner_options, visit_flags
from device_agent.benchmark_model.profile import parse_profile
from device_agent.errors import DelegateRefused, RunnerRefused, UnparsableOutput
from netspec.protocol import Delegate, MeasurementProtocol

GOLDEN = Path(__file__).parent / "golden"
WHOLE = "and the model graph will be completely executed by the delegate."


def test_the_tools_own_words_prove_the_delegate() -> None:
    for name in ("tflite-percentiles", "litert"):
        text = (GOLDEN / f"{name}.txt").read_text()
        assert require_delegation(text, "xnnpack").delegation == "full"
    for name in ("GPU", "NNAPI"):
        words = f"Explicitly applied {name} delegate, {WHOLE}"
        delegate: Delegate = "gpu" if name == "GPU" else "nnapi"
        assert require_delegation(f"INFO: {words}", delegate) == DelegationProof("full", words)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no sign"),
        (f"Explicitly applied GPU delegate, {WHOLE}", "no sign"),
        (
            (
                "INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be "
                "executed by the delegate."
            ),
            "nothing of the graph",
        ),
        (
            (
                "INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially "
                "executed by the delegate w/ 2 delegate kernels."
            ),
            "only a part",
        ),
        ("Replacing 3 out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node", "3 of 4"),
    ],
)
def test_without_proof_there_is_no_number(text: str, says: str) -> None:
    with pytest.raises(DelegateRefused, match=says):
        require_delegation(text, "xnnpack")


PARTLY = (
    "Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the "
    "delegate w/ 2 delegate kernels."
)
COUNTED = "Replacing 3 out of 4 node(s) with delegate (TfLiteXNNPackDelegate)"
LINE = f"{COUNTED} node, yielding 1 partitions"
UNCOUNTED = DelegationProof("partial", PARTLY)


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        (f"INFO: {PARTLY}\n", UNCOUNTED),
        (
            f"INFO: {LINE}\n",
            DelegationProof("partial", COUNTED, 4, 3),
        ),
        (
            f"INFO: {LINE}\nINFO: {PARTLY}\n",
            DelegationProof("partial", PARTLY, 4, 3),
        ),
        # Another delegate's count is not this one's.
        (f"INFO: {LINE.replace('XNNPack', 'Gpu')}\nINFO: {PARTLY}\n", UNCOUNTED),
    ],
)
def test_a_part_of_the_graph_is_told_where_a_part_is_enough(
    text: str, proof: DelegationProof
) -> None:
    assert require_delegation(text, "xnnpack", allow_partial=True) == proof
    with pytest.raises(DelegateRefused, match="expected all of it"):
        require_delegation(text, "xnnpack")


@pytest.mark.parametrize("text", ["", COUNTED.replace("3 out of 4", "0 out of 4")])
def test_where_a_part_is_enough_nothing_is_not(text: str) -> None:
    with pytest.raises(DelegateRefused):
        require_delegation(text, "xnnpack", allow_partial=True)


def test_two_delegates_do_not_prove_each_other() -> None:
    text = (
        f"INFO: Explicitly applied GPU delegate, {WHOLE}\n"
        "INFO: Though NNAPI delegate is explicitly applied, the model graph will not be executed "
        "by the delegate."
    )
    assert require_delegation(text, "gpu").delegation == "full"
    with pytest.raises(DelegateRefused, match="NNAPI took nothing"):
        require_delegation(text, "nnapi")


@pytest.mark.parametrize(
    ("name", "is_gpu"),
    [
        ("TfLiteGpuDelegateV2", True),
        ("ML_DRIFT_CL", True),
        ("LiteRT ML Drift GPU", True),
        ("TfLiteXNNPackDelegate", False),
        # An accelerator's compiler took them.
        ("DispatchDelegate", False),
    ],
)
def test_kernels_of_a_gpu_are_known_by_every_name_that_its_delegate_had(
    name: str, is_gpu: bool
) -> None:
    text = f"Replacing 4 out of 4 node(s) with delegate ({name}) node, yielding 1 partitions"
    if is_gpu:
        assert require_delegation(text, "gpu").delegation == "full"
    else:
        with pytest.raises(DelegateRefused, match="no sign"):
            require_delegation(text, "gpu")


COMPILED = (
    "INFO: [compiler_plugin.cc:741] Partitioned subgraph<0>, selected {taken} ops, from a total of "
    "12 ops. resulted in {parts} partitions.\n"
)
REPLACED = (
    "INFO: Replacing {parts} out of {all} node(s) with delegate (DispatchDelegate) node, yielding "
    "{all} partitions for subgraph 0 (main).\n"
)


def test_an_npu_ran_what_its_compiler_took() -> None:
    whole = COMPILED.format(taken=12, parts=1) + REPLACED.format(parts=1, all=1)
    proof = require_delegation(whole, "npu")
    assert (proof.delegation, proof.operators, proof.delegated) == ("full", 12, 12)
    assert "selected 12 ops" in proof.words
    assert "DispatchDelegate" in proof.words
    # Compiled before it came to the device: LiteRT does not say of how many operators.
    assert require_delegation(REPLACED.format(parts=1, all=1), "npu").delegation == "full"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # What an NPU does not take runs on the CPU, and LiteRT says nothing of it.
        ("", "no sign that NPU"),
        ("Replacing 12 out of 12 node(s) with delegate (TfLiteXNNPackDelegate) node", "no sign"),
        (COMPILED.format(taken=12, parts=1), "no sign"),
        (COMPILED.format(taken=11, parts=2) + REPLACED.format(parts=2, all=3), "11 of 12"),
        (REPLACED.format(parts=2, all=3), "2 of 3"),
        (
            REPLACED.format(parts=1, all=1) + "ERROR: [dispatch_delegate.cc:122] Failed to create "
            "a dispatch delegate kernel: No usable Dispatch runtime found",
            "found no NPU",
        ),
    ],
)
def test_what_an_npu_did_not_run_is_no_measurement(text: str, says: str) -> None:
    with pytest.raises(DelegateRefused, match=says):
        require_delegation(text, "npu")


def test_no_delegate_means_none() -> None:
    assert require_delegation("STARTING!", "none").delegation == "none"
    with pytest.raises(DelegateRefused, match="none was wanted"):
        require_delegation("Replacing 4 out of 4 node(s) with delegate (X) node", "none")


def test_flags_of_both_tools() -> None:
    protocol = MeasurementProtocol(warmup_ms=30, measure_ms=100, min_runs=10)
    tflite = visit_flags("tflite", "gpu", 4, protocol)
    assert {"--use_gpu=true", "--use_xnnpack=false"} <= set(tflite)
    assert {"--num_runs=10", "--min_secs=0.1", "--warmup_min_secs=0.03"} <= set(tflite)
    assert "--num_threads=4" in tflite
    assert visit_flags("tflite", "xnnpack", 1, protocol)[-1] == "--use_xnnpack=true"
    assert visit_flags("tflite", "none", 1, protocol)[-1] == "--use_xnnpack=false"
    assert "nnapi" not in " ".join(tflite)
    litert = visit_flags("litert", "gpu", 1, protocol)
    assert {"--use_gpu=true", "--use_cpu=false", "--require_full_delegation=true"} <= set(litert)
    npu = visit_flags("litert", "npu", 1, protocol)
    assert {"--use_npu=true", "--use_cpu=false", "--require_full_delegation=true"} <= set(npu)
    wrong: list[tuple[Kind, Delegate]] = [
        ("litert", "nnapi"),
        ("litert", "none"),
        ("tflite", "npu"),
    ]
    for kind, delegate in wrong:
        with pytest.raises(RunnerRefused, match=f"does not offer the delegate '{delegate}'"):
            visit_flags(kind, delegate, 1, protocol)


def test_gpus_compute_in_single_precision_where_the_tool_can_be_told() -> None:
    assert runner_options("litert", "gpu", ()) == ("allow_fp16=false",)
    assert runner_options("litert", "gpu", (), knows=lambda _: False) == ()
    half = runner_options("litert", "gpu", ("allow_fp16=true",), knows=lambda _: False)
    assert half == ("allow_fp16=true",)


def test_a_profile_is_read_by_its_columns() -> None:
    nodes = parse_profile((GOLDEN / "tflite-no-prefix.txt").read_text())
    assert [(node.kind, node.average_ms) for node in nodes] == [
        ("CONV_2D", 60.957),
        ("DEPTHWISE_CONV_2D", 49.870),
    ]
    assert nodes[1].name.endswith(":1")
    aligned = parse_profile((GOLDEN / "tflite-xnnpack-profile.txt").read_text())
    assert [node.name for node in aligned] == [f"[Delegate]:{at}" for at in range(8)]
    assert aligned[1].kind == "Delegate/Convolution (NHWC, F32) DWConv"
    with pytest.raises(UnparsableOutput, match="no profile"):
        parse_profile((GOLDEN / "tflite-percentiles.txt").read_text())
