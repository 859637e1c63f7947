"""What calls of the client end with, beside the errors of `netspec.errors`.

UserError
├── JobFailed       a job ended without measuring everything
├── NoTable         no table of a target was published
├── NoCalibration   a table cannot predict whole networks in a precision
├── NoSnapshot      a file is no saved snapshot
├── InvalidModel    a file is no `.tflite` file that can be measured
├── NoPrediction    a table has nothing like some operators of a file
├── NoAgent         nobody measures on a target now
└── Offline         a saved snapshot was asked for what only a profiler can do
"""

from __future__ import annotations

from netspec.errors import UserError


class JobFailed(UserError):
    """A job ended without measuring everything."""


class NoTable(UserError):
    """No table of a target was published."""


class NoCalibration(UserError):
    """The snapshot cannot predict whole networks in a precision."""


class NoSnapshot(UserError):
    """A file is no saved snapshot."""


class InvalidModel(UserError):
    """A file is no `.tflite` file that can be measured."""


class NoPrediction(UserError):
    """The table has nothing like some operators of a `.tflite` file."""


class NoAgent(UserError):
    """No agent serves a target: what is not measured yet would be waited for in vain."""


class Offline(UserError):
    """A saved snapshot was asked for what only a profiler can do."""
