"""timm itself, beside this environment: what `import-weights` makes of its networks computes alike.

Weights are random, under the names and shapes that timm gives them: published ones cannot be had
everywhere, and are no other tensors.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from search_client.deployment.trained_network import load_trained_network
from search_client.networks.normalisation import INCEPTION, Renormalise
from search_client.quantization.pixels import USUAL
from tests.integration.search_client.exported import command
from tests.integration.wheel.places import ROOT
from tests.integration.wheel.registry import skip_without_registry

pytestmark = pytest.mark.nightly

#: torchvision for its Python alone, which timm imports
PACKAGES = ("timm==1.0.31", "torchvision==0.28.0")
SIZE = 64
#: by timm's names: ours, and the program that such weights are of
NETWORKS = {
    "mobilenetv2_100": ("mobilenet_v2", "timm"),
    "mobilenetv3_large_100": ("mobilenet_v3_large", "timm"),
    "mobilenetv3_small_100": ("mobilenet_v3_small", "timm"),
    "semnasnet_100": ("mnasnet_a1", "timm"),
    "efficientnet_lite0": ("efficientnet_lite0", "timm"),
    "mobilenetv4_conv_small": ("mobilenet_v4_conv_small", "timm"),
    "tf_mobilenetv3_large_100": ("mobilenet_v3_large", "timm-tf"),
    "tf_efficientnet_lite0": ("efficientnet_lite0", "timm-tf"),
}
_SAVE = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from benchmarks.operators_on_host.convert_foreign import import_timm, settled

folder, size, *names = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
timm = import_timm()
for name in names:
    torch.manual_seed(0)
    net = settled(timm.create_model(name, pretrained=False, num_classes=10), size)
    images = torch.randn(2, 3, size, size)
    save_file(net.state_dict(), folder / f"{name}.safetensors")
    with torch.no_grad():
        save_file({"images": images, "logits": net(images)}, folder / f"{name}.logits.safetensors")
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of every network, and its logits of some images."""
    folder = tmp_path_factory.mktemp("timm")
    skip_without_registry(folder)
    packages = folder / "packages"
    options: list[str | Path] = ["--quiet", "--no-deps", "--no-compile", "--target", packages]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *PACKAGES], check=True)
    # Before this environment's own packages, of which torch is taken.
    places = [ROOT, packages, sysconfig.get_path("purelib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    subprocess.run(
        [sys.executable, "-c", _SAVE, folder, str(SIZE), *NETWORKS], env=environment, check=True
    )
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_timm_computes_as_it_does_there(
    name: str, saved: Path, tmp_path: Path
) -> None:
    network, program = NETWORKS[name]
    command(
        *("import-weights", saved / f"{name}.safetensors", "--network", network),
        *("--program", program, "--input-size", str(SIZE), "--run", tmp_path),
    )
    model = load_trained_network(tmp_path, network).model
    theirs = load_file(saved / f"{name}.logits.safetensors")
    images, wanted = theirs["images"], theirs["logits"]
    if program == "timm-tf":
        # Ours takes images normalised the usual way.
        images = Renormalise(INCEPTION, USUAL)(images)
    with torch.no_grad():
        found = model(images)
    assert wanted.std(dim=0).mean() > 1e-3
    assert (found - wanted).abs().max() <= 1e-4 * max(1.0, float(wanted.abs().max()))
