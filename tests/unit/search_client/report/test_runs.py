import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import UserError
from search_client.report.content import Report
from search_client.report.figures.front import accuracy_against_latency
from search_client.report.page import unbroken
from search_client.report.runs import (
    ComparedRuns,
    RunNetwork,
    RunsDiffer,
    compare_runs,
    hypervolume,
    with_front,
)
from search_client.report.runs_page import headline, render_runs
from tests.unit.search_client.report import synthetic
from tests.unit.search_client.report.test_page import Outline


def _network(measured_ms: float, accuracy: float, run: str = "run") -> RunNetwork:
    return RunNetwork(
        runs=(run,),
        role="searched",
        network="net",
        accuracy=accuracy,
        predicted_ms=measured_ms,
        measured_ms=measured_ms,
        measured_low_ms=measured_ms,
        measured_high_ms=measured_ms,
    )


def _compared(networks: list[RunNetwork]) -> ComparedRuns:
    return ComparedRuns(
        target="t",
        label="l",
        precision="int8",
        networks=with_front(networks),
        hypervolume=hypervolume(networks, 10),
    )


@pytest.fixture(scope="module")
def report() -> Report:
    return synthetic.report()


def write(report: Report, folder: Path) -> None:
    """Of what `write_report` leaves that which is read again; the page takes a second to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.model_dump_json(), encoding="utf-8")


@pytest.fixture
def folders(report: Report, tmp_path: Path) -> list[Path]:
    made = [tmp_path / "first", tmp_path / "second"]
    for folder in made:
        write(report, folder)
    return made


def test_the_front_is_what_nothing_beats() -> None:
    found = with_front(
        [_network(3.0, 0.9), _network(1.0, 0.5), _network(2.0, 0.5), _network(2.0, 0.7)]
    )
    assert [(one.measured_ms, one.accuracy, one.on_front) for one in found] == [
        (1.0, 0.5, True),
        (2.0, 0.7, True),
        (2.0, 0.5, False),
        (3.0, 0.9, True),
    ]


def test_of_two_that_are_equal_both_are_on_the_front() -> None:
    assert all(one.on_front for one in with_front([_network(1.0, 0.5), _network(1.0, 0.5)]))


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda pair: _network(*pair)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_on_the_front_slower_is_more_accurate(networks: list[RunNetwork]) -> None:
    found = with_front(networks)
    front = [one for one in found if one.on_front]
    assert front
    for faster, slower in itertools.pairwise(front):
        same = (faster.measured_ms, faster.accuracy) == (slower.measured_ms, slower.accuracy)
        assert same or (
            faster.measured_ms < slower.measured_ms and faster.accuracy < slower.accuracy
        )
    for one in found:
        as_good = [f for f in front if f.measured_ms <= one.measured_ms]
        assert max(f.accuracy for f in as_good) >= one.accuracy


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_every_run_gives_its_networks_as_measured(
    report: Report, folders: list[Path], precision: str
) -> None:
    found = compare_runs(folders, "int8" if precision == "int8" else "float32")
    assert sorted((one.role, one.runs) for one in found.networks) == [
        ("MobileNetV2", ("first", "second")),
        ("searched", ("first",)),
        ("searched", ("second",)),
    ]
    searched = next(one for one in found.networks if one.role == "searched")
    model = next(one for one in report.searched.models if one.precision == precision)
    assert searched.measured_ms == model.measured_ms
    accuracies = {
        "int8": report.searched.accuracy_int8,
        "float32": report.searched.accuracy_float,
    }
    assert searched.accuracy == accuracies[precision]
    assert searched.accuracy_low is not None
    assert searched.accuracy_high is not None
    assert searched.accuracy_low < searched.accuracy < searched.accuracy_high


def test_a_baseline_that_runs_trained_on_their_own_is_their_mean(
    report: Report, folders: list[Path]
) -> None:
    models = tuple(
        model.model_copy(update={"sha256": "ef" * 32}) for model in report.baseline.models
    )
    other = report.baseline.model_copy(update={"models": models, "accuracy_int8": 0.907})
    write(report.model_copy(update={"baseline": other}), folders[1])
    (found,) = [n for n in compare_runs(folders, "int8").networks if n.role == "MobileNetV2"]
    assert (found.runs, found.trainings) == (("first", "second"), 2)
    assert found.accuracy == pytest.approx((0.927 + 0.907) / 2)
    assert (found.accuracy_low, found.accuracy_high) == (0.907, 0.927)


def test_baselines_of_other_epochs_are_others(report: Report, folders: list[Path]) -> None:
    longer = report.baseline.model_copy(update={"epochs": 99})
    write(report.model_copy(update={"baseline": longer}), folders[1])
    found = compare_runs(folders, "int8").networks
    assert sum(network.role == "MobileNetV2" for network in found) == 2


def test_the_hypervolume_is_the_area_under_the_front() -> None:
    networks = [_network(1.0, 0.5), _network(2.0, 0.7), _network(1.5, 0.4)]
    found = hypervolume(networks, classes=10)
    # 50 - 10 points from 1 to 2 ms, 70 - 10 points from 2 to 2.2 ms
    assert found.reference_ms == pytest.approx(2.2)
    assert found.every == pytest.approx(40 * 1.0 + 60 * 0.2)
    assert (found.searched, found.mobilenet_v2) == (found.every, 0.0)


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 10)).map(
            lambda pair: _network(pair[0], pair[1] / 10)
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=40, deadline=None)
def test_a_network_more_never_makes_the_hypervolume_less(networks: list[RunNetwork]) -> None:
    *fewer, last = sorted(networks, key=lambda network: -network.measured_ms)
    assert hypervolume(networks, 10).every >= hypervolume(fewer, 10).every - 1e-9
    assert last.measured_ms <= fewer[0].measured_ms


def test_runs_on_two_targets_are_refused(report: Report, folders: list[Path]) -> None:
    write(report.model_copy(update={"target": "feed"}), folders[1])
    with pytest.raises(RunsDiffer, match="target: 0123456789abcdef of first, feed of second"):
        compare_runs(folders, "int8")


def test_runs_of_other_classes_are_refused(report: Report, folders: list[Path]) -> None:
    space = report.search.space.model_copy(update={"classes": 7})
    search = report.search.model_copy(update={"space": space})
    write(report.model_copy(update={"search": search}), folders[1])
    with pytest.raises(RunsDiffer, match="number of classes: 10 of first, 7 of second"):
        compare_runs(folders, "int8")


def test_a_folder_without_a_report_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"report\.json is no report; give the --run folders"):
        compare_runs([tmp_path], "int8")


def test_a_run_named_twice_is_refused(folders: list[Path]) -> None:
    with pytest.raises(RunsDiffer, match="named twice"):
        compare_runs([folders[0], folders[0]], "int8")


def test_runs_whose_folders_have_one_name_keep_their_paths(report: Report, tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for folder in folders:
        write(report, folder)
    found = compare_runs(folders, "int8")
    assert {run for one in found.networks for run in one.runs} == {str(one) for one in folders}


def test_the_page_stands_alone_and_lists_every_network(folders: list[Path]) -> None:
    compared = compare_runs(folders, "int8")
    html = render_runs(compared)
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert not outline.open
    assert "://" not in html.replace("http://www.w3.org/", "")
    assert not outline.all("link") + outline.all("img")
    assert outline.all("script") == [{}]
    rows = [text for text in outline.text if text in {"yes", "no"}]
    assert len(rows) == len(compared.networks) == 3
    assert unbroken(headline(compared)) in "".join(outline.text)
    assert "us" in headline(compared)
    assert " us" not in unbroken(headline(compared))


def test_names_are_escaped() -> None:
    page = render_runs(_compared([_network(1.0, 0.5, run="<script>alert(1)")]))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_figure_numbers_every_network() -> None:
    compared = _compared([_network(1.0 + 0.001 * index, 0.5) for index in range(7)])
    drawn = str(accuracy_against_latency(compared))
    assert all(f">{number}</text>" in drawn for number in range(1, 8))
    assert all(
        f'id="front-mark-{number}"><title>{number}: searched' in drawn for number in range(1, 8)
    )
    saved = accuracy_against_latency(compared, numbered=False).svg
    assert ">1</text>" in saved
    assert ">7</text>" not in saved


def test_the_headline_counts_the_front_and_names_its_ends() -> None:
    compared = _compared([_network(1.0, 0.5), _network(2.0, 0.75), _network(3.0, 0.6)])
    assert headline(compared) == (
        "2 of 3 networks are on the front, 2 of them searched: 50.0 % at 1.000 ms to "
        "75.0 % at 2.000 ms."
    )
