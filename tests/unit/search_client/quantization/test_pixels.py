import torch
from torch import nn
from torch.nn import functional

from netspec.quantization import affine_of
from search_client.data.batches import CHANNEL_MEAN, normalise
from search_client.quantization.pixels import (
    PIXEL_RANGE,
    PIXEL_ZERO,
    STEP,
    PixelInput,
    fold_normalisation,
)


def test_the_codes_of_the_input_are_the_pixels_less_128() -> None:
    affine = affine_of(PIXEL_RANGE)
    assert (affine.zero_point, affine.scale) == (PIXEL_ZERO - 128, STEP)
    # 255 * (0.485 + 0.456 + 0.406) / 3 = 114.495
    assert PIXEL_ZERO == 114


def test_every_pixel_survives_normalisation() -> None:
    pixels = torch.arange(256).repeat(3, 1).reshape(1, 3, 16, 16)
    real, scale, zero_point = PixelInput()(normalise(pixels))
    assert zero_point == affine_of(PIXEL_RANGE).zero_point
    assert torch.equal(real, (pixels - 114) * scale)


def test_a_folded_stem_gives_what_it_gave_on_normalised_images() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 3, 3)
    norm = nn.BatchNorm2d(5).eval()
    assert norm.running_mean is not None
    norm.running_mean.normal_()
    pixels = torch.randint(0, 256, (2, 3, 9, 9))
    images = normalise(pixels)
    wanted = norm(functional.conv2d(images, weight))
    fold_normalisation(weight, norm)
    assert torch.allclose(
        norm(functional.conv2d(PixelInput()(images)[0], weight)), wanted, atol=1e-5
    )


def test_at_the_border_the_stem_sees_a_grey_close_to_the_mean_colour() -> None:
    assert max(abs(PIXEL_ZERO - 255 * mean) for mean in CHANNEL_MEAN) < 12
