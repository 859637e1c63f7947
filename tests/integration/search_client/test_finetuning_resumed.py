"""`quantize --resume`: bit for bit, and only of the weights that the finetuning began from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search_client.deployment.trained_network import TrainedNetwork, trained_network_names
from search_client.networks.layers import FloatNetwork
from search_client.training.checkpoints import BadCheckpoint
from tests.integration.search_client.exported import NETWORK
from tests.integration.search_client.finetunings import FINETUNING, quantized_by, stopped_at


def test_quantize_goes_on_bit_for_bit_and_with_the_same_network_alone(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        replace(trained, quantized=None).save(tmp_path / name, "net")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected = quantized_by(whole, *FINETUNING)
    with stopped_at(13):  # in the second epoch of 10 steps
        quantized_by(stopped, *FINETUNING)
    assert not list(stopped.glob("*.tflite"))
    assert trained_network_names(stopped) == ("net",)
    resumed = quantized_by(stopped, *FINETUNING, "--resume")
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
    assert not list(stopped.glob("*unfinished*"))
    assert (stopped / "net.int8.tflite").is_file()
    with pytest.raises(BadCheckpoint, match="start without --resume"):
        quantized_by(stopped, *FINETUNING, "--resume")


def test_quantize_resumes_no_finetuning_of_other_weights(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    fresh = replace(trained, quantized=None)
    fresh.save(tmp_path, "net")
    with stopped_at(0):
        quantized_by(tmp_path, *FINETUNING)
    torch.manual_seed(1)
    replace(fresh, model=FloatNetwork(NETWORK)).save(tmp_path, "net")
    with pytest.raises(BadCheckpoint, match="began from other weights"):
        quantized_by(tmp_path, *FINETUNING, "--resume")
