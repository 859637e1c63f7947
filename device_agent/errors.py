"""The errors of the agent.

UserError (netspec)         something the person at the terminal can put right
├── AgentAlreadyRuns        another agent holds this device
├── RuntimeMissing          this machine has no TensorFlow Lite runtime
├── NoSuchCore              the core to pin to is not there
├── NoSuchDevice            no phone that this machine sees has this serial number
├── AdbMissing              what a way to phones needs is not installed or does not run
├── PairingRefused          the phone and this machine did not pair
├── SshMissing              what boards are reached by is not installed
├── PhoneUnusable           a phone is there, but cannot be measured on
├── RunnerMissing           no benchmark_model was given or fetched
├── RunnerRefused           the benchmark_model given cannot be used on this device
├── PortTaken               the status port is not free
├── ClockWrong              this machine's clock is off by a day or more
├── SpoolUnusable           the file of visits cannot be read or written
├── DownloadFailed          an official address gave no benchmark_model, or another one
└── WrongTarget             server and agent disagree on what is measured here
DeviceNotReady              nothing can be measured on the device now; no task is to blame
├── TransportLost           the way to the device broke or went silent
├── Unauthorised            the phone has not accepted this machine's key
├── KeyNotTrusted           a board's key is not known here, or no key of the user's there
├── CoresUnclear            which cores to measure on cannot be told now
├── RunnerNotStarted        the runner does not even start on the device
├── DeviceFull              no space is left on the device
├── FileRefused             the device would not write or hand out a file
└── DeviceQuarantined       the anchor stays slow; the device is left alone for a while
VisitFailed                 one visit gave no number; the agent reports it and goes on
├── RunnerFailed            the process that made the visit died
├── VisitTimedOut           the visit took too long and was stopped
├── ModelRefused            the runtime cannot load or run the model
├── DelegateRefused         the delegate left a part of the graph to other kernels
├── NoPercentiles           the runner is too old to print what entries are estimated from
├── FlagIgnored             the runner does not know a flag that the visit needs
├── ProfileMismatch         the kernels of a profile are not the network's layers
└── UnparsableOutput        the runner said something else than it should; carries the text
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


class SshMissing(UserError):
    """What boards are reached by is not installed."""


class WrongTarget(UserError):
    """Server and agent disagree on what is measured here."""


class PairingRefused(UserError):
    """The code is not the phone's, or what answers there does not pair."""


class PhoneUnusable(UserError):
    """A phone is there, but cannot be measured on."""


class RunnerMissing(UserError):
    """No `benchmark_model` was given or fetched."""


class RunnerRefused(UserError):
    """The `benchmark_model` given cannot be used on this device."""


class PortTaken(UserError):
    """The status port is not free."""


class ClockWrong(UserError):
    """This machine's clock is far off, and with it the moment of every visit."""


class SpoolUnusable(UserError):
    """The file of visits cannot be read or written."""


class DownloadFailed(UserError):
    """An official address gave no `benchmark_model`, or another one than before."""


class DeviceNotReady(Exception):
    """Nothing can be measured on the device now; no task is to blame."""


class TransportLost(DeviceNotReady):
    """The way to the device broke or went silent; `reconnect` may mend it."""


class Unauthorised(DeviceNotReady):
    """The phone has not accepted this machine's key."""


class KeyNotTrusted(DeviceNotReady):
    """This machine does not know a board's key, or the board none of the user's."""


class CoresUnclear(DeviceNotReady):
    """Which cores to measure on cannot be told now, or they are offline."""


class RunnerNotStarted(DeviceNotReady):
    """The runner does not even start on the device, whatever the model."""


class DeviceFull(DeviceNotReady):
    """No space is left on the device."""


class FileRefused(DeviceNotReady):
    """The device would not write or hand out a file."""


class DeviceQuarantined(DeviceNotReady):
    """The anchor stays slow: what the device would measure now is not true for its target."""


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


class NoPercentiles(VisitFailed):
    """The runner is too old to print the percentiles that entries are estimated from."""


class FlagIgnored(VisitFailed):
    """The runner does not know a flag that the visit needs."""


class ProfileMismatch(VisitFailed):
    """The kernels of a profile are not the network's layers, so no operator could be priced."""


class UnparsableOutput(VisitFailed):
    """The runner said something else than it should."""

    def __init__(self, what: str, raw: str) -> None:
        self.what = what
        #: all that the runner said
        self.raw = raw
        super().__init__(f"{what}; it said: {raw.strip() or '(nothing)'}")
