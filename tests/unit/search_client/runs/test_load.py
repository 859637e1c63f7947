import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from netspec.client import LatencyTable
from netspec.errors import UserError
from netspec.networks import Network
from search_client.comparison import compare as comparing
from search_client.comparison.compare import Compared, compare
from search_client.comparison.methods import Method
from search_client.deployment.trained_network import Source, load_trained_network
from search_client.recipe import FurtherTarget, Recipe
from search_client.runs.load import read_run
from search_client.runs.record import BadRun, read_record
from search_client.stages.train import evaluate_network, train_network
from tests.unit.search_client.tables import snapshot
from tests.unit.search_client.tiny import tiny_images, tiny_space
from tests.unit.search_client.tiny_run import QUIET, SETTINGS, changed, tiny_search


def test_a_run_is_read_back_with_its_family_and_goal(tmp_path: Path) -> None:
    settings = changed(
        sizes=(16, 24), further_targets=(FurtherTarget(target="x", latency_ref_ms=20),)
    )
    tiny_search(tmp_path, settings, references_ms=[10.0, 20.0])
    run = read_run(tmp_path)
    record = run.record
    assert record.settings == settings
    assert record.classes == tiny_images(3).classes
    assert [target.reference_ms for target in record.targets] == [10.0, 20.0]
    assert [target.snapshot for target in record.targets] == ["1d" * 32, "2d" * 32]
    assert record.versions.keys() >= {"torch", "python", "numpy"}
    assert record.found is not None
    assert record.most_likely is not None
    assert abs(record.found.miss_percent) <= 5
    again = run.derive()
    assert tuple(again.choices) == record.found.choices
    assert tuple(run.derive("argmax").choices) == record.most_likely.choices
    network = Network.model_validate_json((tmp_path / "network.json").read_bytes())
    assert network.operators == record.found.network.operators
    assert (
        json.loads((tmp_path / "run.json").read_text())["settings"]["search"]["joint_epochs"] == 2
    )


def test_a_run_is_derived_for_another_latency(tmp_path: Path) -> None:
    tiny_search(tmp_path)
    run = read_run(tmp_path, {0: 8.5})
    assert run.derive("on_target").latency_ms[0] == pytest.approx(8.5, rel=0.05)


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="no record of a search"):
        read_record(tmp_path)


def test_a_comparison_has_a_row_a_method_and_keeps_what_was_trained(tmp_path: Path) -> None:
    tiny_search(tmp_path)

    def rows(trained: bool) -> list[tuple[str, float | None]]:
        found = _compare(tmp_path, trained=trained)
        for row in found[:-1]:
            assert row.shared_accuracy is not None
            if row.method != "argmax":
                assert row.predicted_ms == pytest.approx(10.0, rel=0.05)
        return [(row.method, row.test_accuracy) for row in found]

    untrained = rows(trained=False)
    assert [name for name, _ in untrained] == [*Method, "MobileNetV2"]
    assert all(accuracy is None for _, accuracy in untrained)
    trained = rows(trained=True)
    assert all(accuracy is not None for _, accuracy in trained)
    assert rows(trained=False) == trained


def _compare(
    folder: Path,
    settings: Recipe = SETTINGS,
    methods: Sequence[Method] = tuple(Method),
    *,
    trained: bool = False,
) -> list[Compared]:
    return compare(
        read_run(folder),
        settings,
        tiny_images(48),
        tiny_images(12, seed=5),
        folder,
        QUIET,
        methods=methods,
        images_per_network=8,
        trained=trained,
    )


# Gaps of the tiny space: no network between 6.7 and 7.3 ms, and none between 14.0 and 15.2 ms.
@pytest.mark.parametrize("reference_ms", [7.0, 14.6])
def test_where_no_network_is_on_target_all_aim_at_what_the_search_found(
    tmp_path: Path, reference_ms: float
) -> None:
    settings = changed(search={**SETTINGS.search.model_dump(), "tolerance": 0.01})
    tiny_search(tmp_path, settings, references_ms=[reference_ms])
    found_ms = read_run(tmp_path).derive().latency_ms[0]
    assert abs(found_ms / reference_ms - 1) > 0.01
    for row in _compare(tmp_path, settings)[:-1]:
        if row.method != "argmax":
            assert row.predicted_ms == pytest.approx(found_ms, rel=0.05)


def test_another_way_to_train_trains_anew(tmp_path: Path) -> None:
    tiny_search(tmp_path)
    before = _compare(tmp_path, trained=True)
    longer = changed(train={**SETTINGS.train.model_dump(), "epochs": 2})
    assert all(row.test_accuracy is None for row in _compare(tmp_path, longer))
    assert [row.trained_with for row in before] != [None] * len(before)
    assert all(row.test_accuracy is None for row in _compare(tmp_path))


def test_a_network_that_several_methods_find_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_search(tmp_path)
    done: list[str] = []

    def train(network: Network, *_: object) -> tuple[None, float]:
        done.append(network.name)
        return None, len(done) / 10

    monkeypatch.setattr(comparing, "train_network", train)
    rows = _compare(tmp_path, methods=(Method.GRADIENT, Method.GRADIENT), trained=True)
    assert len(done) == len(set(done)) == 2
    assert [row.test_accuracy for row in rows] == [0.1, 0.1, 0.2]
    assert _compare(tmp_path, methods=(Method.GRADIENT,))[0].test_accuracy == 0.1


def test_a_baseline_that_the_table_lacks_is_left_out(tmp_path: Path) -> None:
    settings = changed(latency_ref_ms=7.0)
    needed = settings.searched_operators()
    values = {operator: 1.0 + getattr(operator, "kernel", 1) / 10 for operator in needed}
    table = LatencyTable(snapshot(values))
    tiny_search(tmp_path, settings, [table], references_ms=[7.0])
    assert [row.method for row in _compare(tmp_path, settings)] == [*Method]


def test_a_trained_network_is_read_back(tmp_path: Path) -> None:
    network = tiny_space().network([0, 6])
    file = tmp_path / "float.network.pt"
    source = Source("a run", None, "photos")
    model, accuracy = train_network(
        network, tiny_images(48), tiny_images(12), SETTINGS, QUIET, source=source, weights=file
    )
    assert 0 <= accuracy <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["float.network.pt"]
    images = torch.randn(2, 3, 16, 16)
    trained = load_trained_network(tmp_path, "float")
    assert (trained.classes, trained.source) == (tiny_images(12).classes, source)
    assert torch.equal(trained.model(images), model.eval()(images))
    assert evaluate_network(trained, tiny_images(12)) == {"float32": accuracy}
    with pytest.raises(UserError, match="has no class class 3"):
        evaluate_network(trained, tiny_images(12, classes=4))
