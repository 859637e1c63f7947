"""A trained and quantized network, and its files in every form, made once a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_client.data.batches import CentralCrops
from search_client.deployment.export import FORMS, export, write
from search_client.deployment.trained_network import TrainedNetwork
from tests.integration.search_client.exported import IMAGES, TEST, trained_network


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def trained(data: Path) -> TrainedNetwork:
    return trained_network(data)


@pytest.fixture(scope="module")
def run(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trained.save(folder, "searched")
    for form in FORMS:
        content = export(trained, form, CentralCrops.of(IMAGES, TEST.labels))
        write(content, trained, folder / f"searched.{form}.tflite")
    return folder
