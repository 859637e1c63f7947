import colorsys
import math

import pytest
import torch

from search_client.data.augmentation import Augment, _coloured, augmented


def test_augmented_crops_keep_to_the_images_values() -> None:
    flat = torch.full((200, 3, 18, 18), 100, dtype=torch.uint8)
    crops = augmented(flat, 16, torch.Generator().manual_seed(0))
    assert crops.shape == (200, 3, 16, 16)
    # a flat image has no contrast, so only brightness moves it, by a fifth at most
    assert 79.9 < crops.min() < 85
    assert 115 < crops.max() < 120.1
    assert torch.allclose(crops.amax((1, 2, 3)), crops.amin((1, 2, 3)), atol=1e-3)


def test_half_of_the_crops_are_flipped_and_all_differ() -> None:
    ramp = torch.arange(18).expand(200, 3, 18, 18).to(torch.uint8) * 10
    crops = augmented(ramp, 16, torch.Generator().manual_seed(0))
    rising = (crops[:, 0, 8, 15] > crops[:, 0, 8, 0]).float().mean().item()
    assert rising == pytest.approx(0.5, abs=0.1)
    widths = (crops[:, 0, 8, 15] - crops[:, 0, 8, 0]).abs()
    assert len(set(widths.tolist())) > 190
    assert torch.allclose(crops[:, :, 0], crops[:, :, 15], atol=1e-3)


def test_least_area_bounds_the_crops() -> None:
    ramp = torch.arange(100.0).expand(400, 3, 100, 100)
    still = Augment(least_area=0.04, brightness=0, contrast=0)
    crops = augmented(ramp, 20, torch.Generator().manual_seed(0), still)
    # neighbouring pixels of a crop lie its width apart, over 20
    widths = (crops[:, 0, 8, 15] - crops[:, 0, 8, 5]).abs() * 2
    shares = widths / 100
    least = math.sqrt(0.04 * 3 / 4)
    assert least - 0.01 < shares.min() < 0.3
    assert shares.max() > 0.8


def test_a_third_of_a_turn_takes_red_to_green_and_a_half_stays_grey() -> None:
    red = torch.tensor([200.0, 20.0, 20.0]).reshape(1, 3, 1, 1)
    turned = _coloured(red, torch.ones(1), torch.tensor([1 / 3])).flatten()
    assert turned.tolist() == pytest.approx([20.0, 200.0, 20.0], abs=1e-3)
    grey = torch.full((1, 3, 1, 1), 90.0)
    assert _coloured(grey, torch.tensor([0.3]), torch.tensor([0.4])).flatten().tolist() == (
        pytest.approx([90.0] * 3, abs=1e-3)
    )


def test_saturation_moves_colours_towards_their_mean() -> None:
    colour = torch.tensor([120.0, 60.0, 30.0]).reshape(1, 3, 1, 1)
    paler = _coloured(colour, torch.tensor([0.5]), torch.zeros(1)).flatten()
    # mean 70
    assert paler.tolist() == pytest.approx([95.0, 65.0, 50.0], abs=1e-3)


def test_hues_and_saturations_differ_from_image_to_image_within_their_limits() -> None:
    colour = torch.tensor([160, 100, 70], dtype=torch.uint8).reshape(1, 3, 1, 1)
    images = colour.expand(300, 3, 18, 18)
    how = Augment(brightness=0, contrast=0, saturation=0.4, hue=0.1)
    crops = augmented(images, 16, torch.Generator().manual_seed(0), how)[:, :, 0, 0]
    spread = crops.amax(dim=1) - crops.amin(dim=1)
    assert 0.5 * 90 < spread.min() < 0.75 * 90
    assert 1.25 * 90 < spread.max() < 1.6 * 90
    hues = torch.tensor([colorsys.rgb_to_hsv(*one)[0] for one in crops.tolist()])
    before = colorsys.rgb_to_hsv(160, 100, 70)[0]
    away = (hues - before + 0.5) % 1 - 0.5
    assert -0.13 < away.min() < -0.05
    assert 0.05 < away.max() < 0.13


def test_without_colours_the_draws_are_those_of_before() -> None:
    images = torch.randint(0, 255, (8, 3, 18, 18), generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    augmented(images, 16, generator)
    # area, aspect, flip, two places, brightness, contrast
    drawn = torch.Generator().manual_seed(0)
    torch.rand(8 * 7, generator=drawn)
    assert torch.equal(torch.rand(4, generator=generator), torch.rand(4, generator=drawn))
