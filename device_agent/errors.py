"""The errors of the agent.

UserError (netspec)         something the person at the terminal can put right
├── AgentAlreadyRuns        another agent holds this device
├── RuntimeMissing          this machine has no TensorFlow Lite runtime
├── NoSuchCore              the core to pin to is not there
├── NoSuchDevice            no phone that this machine sees has this serial number
├── AdbMissing              what a way to phones needs is not installed or does not run
└── WrongTarget             server and agent disagree on what is measured here
DeviceNotReady              nothing can be measured on the device now; no task is to blame
├── TransportLost           the way to the device broke or went silent
├── Unauthorised            the phone has not accepted this machine's key
├── DeviceFull              no space is left on the device
└── FileRefused             the device would not write or hand out a file
VisitFailed                 one visit gave no number; the agent reports it and goes on
├── RunnerFailed            the process that made the visit died
├── VisitTimedOut           the visit took too long and was stopped
├── ModelRefused            the runtime cannot load or run the model
└── DelegateRefused         the delegate left a part of the graph to other kernels
"""

from __future__ import annotations

from netspec.errors import UserError


class AgentAlreadyRuns(UserError):
    """Another agent holds this device."""


class RuntimeMissing(UserError):
    """This machine has no TensorFlow Lite runtime."""


class NoSuchCore(UserError):
    """The core to pin to is not there, or not ours to use."""


class NoSuchDevice(UserError):
    """No phone that this machine sees has this serial number."""


class AdbMissing(UserError):
    """What a way to phones needs is not installed or does not run."""


class WrongTarget(UserError):
    """Server and agent disagree on what is measured here."""


class DeviceNotReady(Exception):
    """Nothing can be measured on the device now; no task is to blame."""


class TransportLost(DeviceNotReady):
    """The way to the device broke or went silent; `reconnect` may mend it."""


class Unauthorised(DeviceNotReady):
    """The phone has not accepted this machine's key."""


class DeviceFull(DeviceNotReady):
    """No space is left on the device."""


class FileRefused(DeviceNotReady):
    """The device would not write or hand out a file."""


class VisitFailed(Exception):
    """One visit gave no number. The text is the reason that the server stores."""


class RunnerFailed(VisitFailed):
    """The process that made the visit died."""


class VisitTimedOut(VisitFailed):
    """The visit took too long and was stopped."""


class ModelRefused(VisitFailed):
    """The runtime cannot load or run the model."""


class DelegateRefused(VisitFailed):
    """The delegate left a part of the graph to other kernels, so its number would mislead."""
