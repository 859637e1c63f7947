import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_client.data.batches import PlainBatches, TrainingBatches, central_crop, normalise
from search_client.data.folders import ImageSet
from tests.unit.search_client.tiny import tiny_images


def test_normalised_channels_follow_imagenet() -> None:
    white = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    assert white.tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])


def test_the_central_crop_is_the_middle() -> None:
    image = torch.arange(18 * 18).reshape(1, 1, 18, 18)
    assert central_crop(image, 16).equal(image[:, :, 1:17, 1:17])


def test_a_smaller_size_sees_as_much_of_an_image_as_a_larger() -> None:
    ramp = torch.arange(73.0).expand(1, 3, 73, 73)
    large, small = central_crop(ramp, 64), central_crop(ramp, 16)
    assert small.shape == (1, 3, 16, 16)
    assert small[0, 0, 8].min().item() == pytest.approx(large.min().item(), abs=3)
    assert small[0, 0, 8].max().item() == pytest.approx(large.max().item(), abs=3)


def test_an_epoch_is_the_same_from_any_batch_on() -> None:
    batches = TrainingBatches(tiny_images(64), 16, 16, seed=3)
    whole, rest = list(batches.epoch(5)), list(batches.epoch(5, start=2))
    assert len(rest) == 2
    for (images, labels), (others, their) in zip(whole[2:], rest, strict=True):
        assert images.equal(others)
        assert labels.equal(their)


def test_processes_share_an_epoch_without_overlap() -> None:
    images = torch.zeros(40, 3, 18, 18, dtype=torch.uint8)
    data = ImageSet(images, torch.arange(40), tuple(str(label) for label in range(40)))
    seen = [
        torch.cat([labels for _, labels in TrainingBatches(data, 16, 5, 0, shard=(rank, 2))])
        for rank in range(2)
    ]
    assert [len(labels) for labels in seen] == [20, 20]
    assert torch.cat(seen).sort().values.equal(torch.arange(40))
    plain = [
        torch.cat([labels for _, labels in PlainBatches(data, 16, 8, 1, shard=(rank, 3))])
        for rank in range(3)
    ]
    assert [len(labels) for labels in plain] == [13, 13, 13]
    assert len(set(torch.cat(plain).tolist())) == 39


def test_an_epoch_sees_an_image_at_most_once_and_fills_every_batch() -> None:
    data = tiny_images(50)
    batches = TrainingBatches(data, 16, 16, seed=0)
    epoch = list(batches)
    assert [len(labels) for _, labels in epoch] == [16, 16, 16]
    assert len(batches) == 3
    assert all(images.shape[1:] == (3, 16, 16) for images, _ in epoch)
    seen = torch.bincount(torch.cat([labels for _, labels in epoch]), minlength=3)
    assert (seen <= torch.bincount(data.labels)).all()


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    first, second = (TrainingBatches(tiny_images(16), 16, 16, seed=5) for _ in range(2))
    one, two = next(iter(first))[0], next(iter(first))[0]
    assert not torch.equal(one, two)
    assert torch.equal(one, next(iter(second))[0])


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    batches = TrainingBatches(tiny_images(5), 16, 16, seed=0)
    assert [len(labels) for _, labels in batches] == [5]


def test_plain_batches_keep_order_and_lose_nothing() -> None:
    data = tiny_images(20)
    batches = PlainBatches(data, 16, 16)
    assert len(batches) == 2
    assert torch.cat([labels for _, labels in batches]).equal(data.labels)
    images = torch.cat([images for images, _ in batches])
    assert images.equal(normalise(central_crop(data.images, 16)))


def test_shuffled_plain_batches_hold_the_same_crops_in_new_orders() -> None:
    images = torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1).expand(40, 3, 4, 4)
    data = ImageSet(images, torch.arange(40), tuple(str(label) for label in range(40)))
    batches = PlainBatches(data, 4, 16, shuffle_seed=0)
    first, second = (torch.cat([labels for _, labels in batches]) for _ in range(2))
    assert not first.equal(second)
    assert first.sort().values.equal(data.labels)


@given(count=st.integers(1, 12), batch_size=st.integers(1, 6), start=st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_no_image_is_a_batch_by_itself_where_others_are(
    count: int, batch_size: int, start: int
) -> None:
    batches = PlainBatches(tiny_images(count), 8, batch_size)
    sizes = [len(labels) for _, labels in batches.epoch(0)]
    assert sum(sizes) == count
    assert len(sizes) == len(batches)
    assert 1 not in sizes or count == 1 or batch_size == 1
    assert [len(labels) for _, labels in batches.epoch(0, start)] == sizes[start:]
