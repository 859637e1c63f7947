"""A trained and quantized network and its files in every form: made once, copied for modules."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from search_client.data.batches import CentralCrops
from search_client.deployment.export import FORMS, export, write
from search_client.deployment.trained_network import TrainedNetwork
from tests.integration.search_client.exported import IMAGES, TEST, trained_network


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def _trained(data: Path) -> TrainedNetwork:
    return trained_network(data)


@pytest.fixture(scope="module")
def trained(_trained: TrainedNetwork) -> TrainedNetwork:
    return copy.deepcopy(_trained)


@pytest.fixture(scope="session")
def _run(_trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = copy.deepcopy(_trained)
    folder = tmp_path_factory.mktemp("run")
    trained.save(folder, "searched")
    for form in FORMS:
        content = export(trained, form, CentralCrops.of(IMAGES, TEST.labels))
        write(content, trained, folder / f"searched.{form}.tflite")
    return folder


@pytest.fixture(scope="module")
def run(_run: Path, trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert trained, "whose files these are"
    return shutil.copytree(_run, tmp_path_factory.mktemp("copy") / "run")
