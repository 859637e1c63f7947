"""What a model gives for test images on a target: images up, outputs down."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from pydantic import TypeAdapter

from netspec.client.job_calls import JobCalls
from netspec.errors import ProfilerRefused
from netspec.layers import Float32Array
from netspec.wire import EvaluatedPiece, Evaluation

_PIECES: TypeAdapter[list[EvaluatedPiece]] = TypeAdapter(list[EvaluatedPiece])


class EvaluationCalls(JobCalls):
    """`JobCalls`, and those of evaluations."""

    async def upload_images(self, content: bytes) -> str:
        """Stores packed images, see `netspec.images`; those that are there are not sent again.

        Returns:
            Their SHA-256.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = f"/v1/images/{digest}"
        try:
            await self._http.ask("GET", path, headers={"If-None-Match": f'"{digest}"'})
        except ProfilerRefused as error:
            if error.kind != "unknown-images":
                raise
            await self._http.ask("PUT", path, body=content)
        return digest

    async def evaluation(self, job_id: str) -> Evaluation:
        """How good a job's model is on its target, as far as its images are run."""
        answer = await self._http.ask("GET", f"/v1/jobs/{job_id}/evaluation")
        return Evaluation.model_validate_json(answer.content)

    async def outputs(self, job_id: str) -> list[EvaluatedPiece]:
        """The greatest values of each image, piece by piece, as far as they are run."""
        found: list[EvaluatedPiece] = []
        async for page in self._http.pages(f"/v1/jobs/{job_id}/outputs"):
            found += _PIECES.validate_json(page.content)
        return found

    async def logits(self, job_id: str, piece: int) -> Float32Array:
        """All values of the images of a piece, float32 [images, outputs]."""
        answer = await self._http.ask("GET", f"/v1/jobs/{job_id}/outputs/{piece}")
        logits: Float32Array = np.load(io.BytesIO(answer.content), allow_pickle=False)
        return logits
