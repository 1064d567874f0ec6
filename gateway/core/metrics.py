"""Metrics as values, and their text form for Prometheus (exposition format 0.0.4). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

GAUGE: Final = "gauge"
COUNTER: Final = "counter"
# What an answer with the text says that it is.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with one value, or with one for each value of a label.

    ``values`` by the label's value; without a label by "". Of what is not known there is none.
    """

    name: str
    kind: str
    help: str
    values: Mapping[str, float]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """What a process takes: seconds of processor, bytes of memory, open files."""

    cpu_seconds: float
    memory_bytes: int
    open_files: int


def gauge(name: str, help_: str, value: float) -> Metric:
    """A value that goes up and down."""
    return Metric(name, GAUGE, help_, {"": value})


def counter(name: str, help_: str, value: float) -> Metric:
    """A value that only grows, until the process starts anew."""
    return Metric(name, COUNTER, help_, {"": value})


def one_of(name: str, help_: str, label: str, value: str) -> Metric:
    """1 for what is the case now, with what it is as a label."""
    return Metric(name, GAUGE, help_, {value: 1}, label)


def process_metrics(process: Process) -> list[Metric]:
    """The metrics every process has, by the names that client libraries give them."""
    return [
        counter("process_cpu_seconds_total", "Processor time of the process.", process.cpu_seconds),
        gauge("process_resident_memory_bytes", "Memory of the process.", process.memory_bytes),
        gauge("process_open_fds", "Open files and sockets of the process.", process.open_files),
    ]


def exposition(metrics: Iterable[Metric]) -> str:
    """All of it as text. No name may come twice."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for value, number in metric.values.items():
        label = f'{{{metric.label}="{value.translate(_LABEL_ESCAPES)}"}}' if metric.label else ""
        yield f"{metric.name}{label} {_number(number)}"


def _number(number: float) -> str:
    """Whole numbers without a point; what ``repr`` gives of the others Prometheus reads."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))
