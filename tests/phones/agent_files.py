"""Where the agent keeps its files on an Android phone."""

from device_agent.phones.files import AgentFolders
from device_agent.transports.over_streams import ANDROID_FOLDER

_FOLDERS = AgentFolders(ANDROID_FOLDER / "proxyless-farm")
MODELS, STRETCHES, IMAGES = _FOLDERS.models, _FOLDERS.stretches, _FOLDERS.images
JOURNAL, ENERGY_JOURNAL = _FOLDERS.root / "journal", _FOLDERS.root / "energy-journal"
AWAKE_JOURNAL, GPU_JOURNAL = _FOLDERS.root / "awake-journal", _FOLDERS.root / "gpu-journal"
