from __future__ import annotations

import numpy as np
import pytest

from netspec.costs import footprint
from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.wire import Entry, NetworkSubject
from profiler_server.latency_tables.launches import LEAST_NETWORKS, launch_fits
from tests.unit.profiler_server.calibrations import calibrated, entry

SPACE = Space(input_size=32, width=0.25, classes=10)


def _measured(networks: int, **without: None) -> list[tuple[NetworkSubject, Entry]]:
    """Networks on a machine that loads 1 MB in a ms and holds all weights thrice."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(networks):
        subject = NetworkSubject(network=random_network(SPACE, rng))
        size, latency_ms = footprint(subject.network.operators), 0.5 + 0.1 * number
        launch = {
            "load_ms": 2.0 + 1e-6 * size.weight_bytes,
            "first_inference_ms": 0.3 + 1.5 * latency_ms,
            "peak_memory_bytes": 2**20 + 3 * size.weight_bytes + 2 * size.map_bytes,
        }
        found.append((subject, entry(subject, latency_ms).model_copy(update={**launch, **without})))
    return found


def test_launches_of_other_networks_follow_from_their_sizes() -> None:
    fits = {fit.quantity: fit for fit in launch_fits(_measured(12))}
    assert set(fits) == {"load_ms", "first_inference_ms", "peak_memory_bytes"}
    for fit in fits.values():
        assert fit.held_out.networks == 12
        assert fit.held_out.worst_percent < 0.1
    other = SPACE.network([5] * 21).operators
    size = footprint(other)
    assert fits["load_ms"].predict(other, 9.0) == pytest.approx(2.0 + 1e-6 * size.weight_bytes)
    assert fits["first_inference_ms"].predict(other, 9.0) == pytest.approx(0.3 + 1.5 * 9.0)
    assert fits["peak_memory_bytes"].predict(other, 9.0) == pytest.approx(
        2**20 + 3 * size.weight_bytes + 2 * size.map_bytes, rel=1e-4
    )


def test_what_too_few_networks_say_is_predicted_by_nobody() -> None:
    assert launch_fits(_measured(LEAST_NETWORKS - 1)) == ()
    quiet = _measured(LEAST_NETWORKS, peak_memory_bytes=None)
    assert {fit.quantity for fit in launch_fits(quiet)} == {"load_ms", "first_inference_ms"}


def test_a_calibration_says_nothing_of_launches_that_no_runner_printed() -> None:
    found = calibrated(SPACE, 8, lambda _: 1.0, lambda _: 1.1)
    assert found.launches == ()
    assert "launches" not in found.model_dump_json()
