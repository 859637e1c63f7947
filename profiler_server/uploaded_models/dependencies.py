"""What endpoints of models ask for."""

from __future__ import annotations

from typing import Annotated

from profiler_server.kit.dependencies import of_application
from profiler_server.uploaded_models.service import UploadedModels

UploadedModelsDep = Annotated[UploadedModels, of_application("uploaded_models")]
