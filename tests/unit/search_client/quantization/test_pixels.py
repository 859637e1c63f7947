import pytest
import torch
from torch import nn
from torch.nn import functional

from netspec.quantization import affine_of
from search_client.data.batches import CHANNEL_MEAN, normalise
from search_client.networks.normalisation import INCEPTION, Normalisation, Renormalise
from search_client.quantization.pixels import USUAL, PixelInput

KINDS = pytest.mark.parametrize("normalisation", [USUAL, INCEPTION])


def test_the_codes_of_the_input_are_the_pixels_less_128() -> None:
    pixels = PixelInput()
    affine = affine_of(pixels.range)
    assert (affine.zero_point, affine.scale) == (pixels.zero - 128, pixels.step)
    # 255 * (0.485 + 0.456 + 0.406) / 3 = 114.495
    assert pixels.zero == 114


@KINDS
def test_every_pixel_survives_normalisation(normalisation: Normalisation) -> None:
    pixels = torch.arange(256).repeat(3, 1).reshape(1, 3, 16, 16)
    codes = PixelInput(normalisation)
    real, scale, zero_point = codes(normalise(pixels))
    assert zero_point == affine_of(codes.range).zero_point
    assert torch.equal(real, (pixels - codes.zero) * scale)


@KINDS
def test_a_folded_stem_gives_what_it_gave_on_normalised_images(
    normalisation: Normalisation,
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 3, 3)
    norm = nn.BatchNorm2d(5).eval()
    assert norm.running_mean is not None
    norm.running_mean.normal_()
    pixels = torch.randint(0, 256, (2, 3, 9, 9))
    images = normalise(pixels)
    wanted = norm(functional.conv2d(Renormalise(USUAL, normalisation)(images), weight))
    codes = PixelInput(normalisation)
    codes.fold_normalisation(weight, norm)
    assert torch.allclose(norm(functional.conv2d(codes(images)[0], weight)), wanted, atol=1e-5)


def test_images_are_normalised_as_a_network_wants_them() -> None:
    pixels = torch.tensor([0, 128, 255]).reshape(1, 1, 1, 3).expand(1, 3, 1, 3)
    wanted = pixels.float() / 127.5 - 1
    found = Renormalise(USUAL, INCEPTION)(normalise(pixels))
    assert torch.allclose(found, wanted, atol=1e-6)


def test_at_the_border_the_stem_sees_a_grey_close_to_the_mean_colour() -> None:
    assert max(abs(PixelInput().zero - 255 * mean) for mean in CHANNEL_MEAN) < 12
    assert PixelInput(INCEPTION).zero == 128
