"""Why a launch of `benchmark_model` gave no number, from what was printed and its exit code.

Android's linker, shell and toybox print before the program does; what they say is the device's
fault or the program's, never the model's.
"""

from __future__ import annotations

import re
import signal

from device_agent.text import one_line

#: what the program prints first, in every era, or before its phases
_BEGUN = re.compile(r"STARTING!|Log parameter values|Loaded model|Running benchmark for")
_ALIGNMENT = re.compile(
    r"alignment \((?P<own>[0-9]+)\) cannot be smaller than system page size \((?P<page>[0-9]+)\)"
)
_NO_LIBRARY = re.compile(r"library \"(?P<name>[^\"]+)\"[^\n]* not found")
_LINKER = re.compile(
    r"CANNOT LINK EXECUTABLE[^\n]*|[^\n]*error while loading shared libraries[^\n]*"
)
_TOO_OLD = re.compile(r"version `(?P<needed>(?:GLIBC|GLIBCXX|CXXABI)_[0-9.]+)' not found")
_TASKSET = re.compile(r"^[^\n]*\btaskset: [^\n]*", re.MULTILINE)
_DELEGATE = re.compile(
    r"[^\n]*(?:NN ?API returned error|ANEURALNETWORKS_[A-Z_]+|Failed to (?:apply|create|compile)"
    r"[^\n]*(?:delegate|accelerator|compiled model))[^\n]*",
    re.IGNORECASE,
)
#: LiteRT's, where no library of an NPU's can be used
_NO_NPU = "No usable Dispatch runtime found"
#: exit codes of a shell that could not execute a program, or did not find it
_NOT_EXECUTED = (126, 127)
#: a shell's exit code of a program that a signal ended: this, and the signal's number
_BY_SIGNAL = 128
_MAX_WORDS = 300


def start_failure(text: str, exit_code: int) -> str:
    """Why the program did not even start, and what to do; empty where it did.

    Args:
        text: both streams of the launch, merged.
        exit_code: of the launch.
    """
    if not exit_code or _BEGUN.search(text):
        return ""
    return next(filter(None, (words(text) for words in _CAUSES)), "") or _by_code(text, exit_code)


def _by_alignment(text: str) -> str:
    match = _ALIGNMENT.search(text)
    return "" if match is None else page_size_words(int(match["own"]), int(match["page"]))


def _by_library(text: str) -> str:
    match = _NO_LIBRARY.search(text)
    what = "" if match is None else match["name"]
    return what and f"it needs the library {what}, which is not there; add it with --library"


def _by_version(text: str) -> str:
    match = _TOO_OLD.search(text)
    needed = "" if match is None else match["needed"]
    return needed and (
        f"it needs {needed}, and this system's libraries are older; give one built for them with "
        "--runner"
    )


def _by_linker(text: str) -> str:
    match = _LINKER.search(text)
    words = "" if match is None else one_line(match[0])[:_MAX_WORDS]
    return words and f"the device's linker refuses it ({words}); fetch another version"


def _by_taskset(text: str) -> str:
    match = _TASKSET.search(text)
    words = "" if match is None else one_line(match[0])[:_MAX_WORDS]
    return words and f"it cannot be pinned ({words}); are its cores online? --cores names others"


def _by_code(text: str, exit_code: int) -> str:
    if exit_code in _NOT_EXECUTED:
        words = one_line(text)[-_MAX_WORDS:] or "nothing"
        return f"the device's shell cannot execute it; it said: {words}"
    if exit_code == _BY_SIGNAL + signal.SIGILL:
        return "it uses instructions that this device's CPU lacks (SIGILL); give one built for it"
    return ""


#: the most exact cause first
_CAUSES = (_by_alignment, _by_library, _by_version, _by_linker, _by_taskset)


def page_size_words(own_bytes: int, page_bytes: int) -> str:
    """For people: a program or library is aligned to smaller pages than the device has."""
    return (
        f"it is aligned to pages of {own_bytes // 1024} KB and this device has pages of "
        f"{page_bytes // 1024} KB; give one built for these, for instance LiteRT 2.1 or later"
    )


def delegate_failure(text: str) -> str:
    """The line in which a delegate says that it does not take the graph; empty where none does."""
    match = _DELEGATE.search(text)
    return "" if match is None else one_line(match[0])[:_MAX_WORDS]


def lacks_npu(text: str) -> bool:
    """Whether LiteRT found no NPU that it could use."""
    return _NO_NPU in text


def ending(exit_code: int) -> str:
    """How a launch ended, in words."""
    try:
        name = signal.Signals(exit_code - _BY_SIGNAL).name
    except ValueError:
        return f"ended with exit code {exit_code}"
    return f"crashed with {name} (exit code {exit_code})"
