import json
from pathlib import Path

import pytest

from netspec.launches import Launch, delegation_text, read_launch, typical_launch

GOLDEN = Path(__file__).parents[1] / "device_agent" / "golden"
TFLITE_PROOF = (
    "Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the "
    "delegate."
)
LITERT_PROOF = (
    "Replacing 58 out of 58 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 "
    "partitions"
)


@pytest.mark.parametrize(
    ("file", "proof", "launch"),
    [
        (
            "tflite-percentiles.txt",
            TFLITE_PROOF,
            Launch(4.241, 1.021, "full", peak_memory_bytes=4404019),
        ),
        ("tflite-logcat.txt", "no delegate", Launch(92.318, 235.158, "none")),
        (
            "tflite-no-prefix.txt",
            "no delegate",
            Launch(17.187, 3512.391, "none", peak_memory_bytes=48324569),
        ),
        ("tflite-oldest.txt", TFLITE_PROOF, Launch(3.913, None, "full")),
        ("litert.txt", LITERT_PROOF, Launch(5.12, 1.11, "full")),
    ],
)
def test_what_benchmark_model_says_of_loading(file: str, proof: str, launch: Launch) -> None:
    text = (GOLDEN / file).read_text(encoding="utf-8")
    assert read_launch(f"{proof}\n{text}") == launch


def test_what_the_litert_runner_says_of_loading() -> None:
    told = {"load_ns": 2_500_000, "first_run_ns": 750_000, "delegation": "full"}
    assert read_launch(json.dumps(told)) == Launch(2.5, 0.75, "full")
    with_memory = json.dumps(told | {"peak_memory_bytes": 8192})
    assert read_launch(with_memory) == Launch(2.5, 0.75, "full", peak_memory_bytes=8192)


ODD = [
    *("", "5 runs", "{cut in two", "{}", "[]"),
    *('{"load_ns": "x"}', '{"undelegated": 3}', '{"operators": -1}'),
    *(
        '{"peak_memory_bytes": -1}',
        f'{{"load_ns": {10**400}}}',
        f'{{"peak_memory_bytes": {2**63}}}',
    ),
    "Inference timings in us: Init: 1e999, First inference: 9e99, Warmup (avg): 1",
    *(
        f"Memory footprint delta from the start of the tool (MB): init=0 overall={n}"
        for n in (0, 1e99)
    ),
]


@pytest.mark.parametrize("raw", ODD)
def test_other_text_tells_nothing(raw: str) -> None:
    assert read_launch(raw) == Launch()


def test_the_typical_launch_is_the_median_of_those_that_say() -> None:
    launches = [Launch(1.0, 5.0, "full"), Launch(3.0, None, "full"), Launch(2.0, 7.0, "full")]
    assert typical_launch(launches) == Launch(2.0, 6.0, "full")
    assert typical_launch([Launch(1.0, 5.0, "full"), Launch(1.0, 5.0, "none")]).delegation is None
    assert typical_launch([]) == Launch()
    peaks = (None, 4096, 8192, 8194)
    assert typical_launch(Launch(peak_memory_bytes=n) for n in peaks).peak_memory_bytes == 8192


def test_the_litert_runner_names_what_xnnpack_leaves_and_counts_the_rest() -> None:
    told = {"delegation": "partial", "operators": 5, "undelegated": {"GATHER": 1, "PACK": 2}}
    launch = read_launch(json.dumps(told))
    assert launch == Launch(
        delegation="partial", operators=5, delegated=2, undelegated={"GATHER": 1, "PACK": 2}
    )
    assert delegation_text("xnnpack", launch) == (
        "xnnpack runs a part of the graph: 3 of 5 operators (60%) are left to other kernels: "
        "1 GATHER, 2 PACK"
    )


def test_a_phone_tells_it_above_what_benchmark_model_printed() -> None:
    told = {"delegation": "partial", "operators": 4, "delegated": 3, "no_profile": "none asked"}
    text = (GOLDEN / "tflite-percentiles.txt").read_text(encoding="utf-8")
    launch = read_launch(f"{json.dumps(told)}\n{text}")
    assert launch == Launch(4.241, 1.021, "partial", 4, 3, {}, "none asked", 4404019)
    assert delegation_text("gpu", launch) == (
        "gpu runs a part of the graph: 1 of 4 operators (25%) are left to other kernels"
    )


def test_a_launch_that_was_profiled_speaks_for_those_that_were_not() -> None:
    plain = Launch(1.0, 5.0, "partial", 4, 3)
    profiled = Launch(3.0, 7.0, "partial", 4, 3, {"GATHER": 1})
    assert typical_launch([plain, profiled]) == Launch(2.0, 6.0, "partial", 4, 3, {"GATHER": 1})


@pytest.mark.parametrize(
    ("launch", "text"),
    [
        (Launch(), ""),
        (Launch(delegation="full"), "xnnpack runs the whole graph"),
        (Launch(delegation="none"), "no delegate runs any of the graph"),
        (Launch(delegation="partial"), "xnnpack runs a part of the graph"),
    ],
)
def test_what_is_not_known_is_not_said(launch: Launch, text: str) -> None:
    assert delegation_text("xnnpack", launch) == text
