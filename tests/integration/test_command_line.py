"""The command line as a shell uses it: pipes that close, disks that are full, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, GatewayProcess

pytestmark = pytest.mark.integration
COMMAND = (sys.executable, "-m", "gateway")


def command(*arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, input=text, capture_output=True, text=True, timeout=30
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of a gateway that runs."""
    folder = tmp_path_factory.mktemp("command") / "gateway"
    with GatewayProcess(folder):
        yield str(folder)


def piped(*arguments: str, reader: str) -> tuple[int, str]:
    """Exit code and errors of a command whose output goes to a shell's reader."""
    words = " ".join(f"'{word}'" for word in (*COMMAND, *arguments))
    script = f"{words} {reader}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    return ended.returncode, ended.stderr


def test_a_reader_that_has_enough_ends_a_command_without_a_word(data: str) -> None:
    big = json.dumps({"text": "x" * 150_000})
    assert command("put", "orders/big", "-", "--data", data, text=big).returncode == 0
    assert piped("get", "orders/big", "--data", data, reader="| head -c 20") == (141, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("run", "--port", "0", "--no-pages"),
        ("run", "--port", "0", "--no-pages", "--json"),
        ("peer", "--listen", "0"),
    ],
)
def test_a_full_disk_is_said_in_one_sentence(
    data: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = str(tmp_path / "new") if arguments[0] in ("run", "peer") else data
    code, said = piped(*arguments, "--data", folder, reader=">/dev/full </dev/null")
    assert (code, said.count("\n")) == (74, 1) and "No space left on device" in said, said


def test_what_get_prints_is_what_put_takes(data: str) -> None:
    where = ("orders/round", "--data", data)
    content = {"text": "é" * 100_000, "$price": 1, "list": [1, {"a": None}]}
    put = command("put", where[0], "-", *where[1:], text=json.dumps(content))
    assert put.returncode == 0, put.stderr
    got = command("get", *where)
    assert json.loads(got.stdout) == content and got.stderr == ""
    edited = json.dumps({**content, "list": [2]}, ensure_ascii=False)
    assert command("put", where[0], "-", *where[1:], text=edited).returncode == 0
    assert json.loads(command("get", *where, "--root", "fields").stdout) == json.loads(edited)
    whole = json.loads(command("get", *where, "--whole", "--json").stdout)
    assert whole["fields"]["$$price"] == 1
    assert command("get", *where, "--root", "none").stdout == "{}\n"


def test_a_document_that_is_not_there_has_its_own_exit_code(data: str) -> None:
    gone = command("get", "orders/none", "--data", data, "--json")
    assert (gone.returncode, json.loads(gone.stdout)["code"]) == (66, "no-document")
    assert command("put", "orders/empty", '{"a": 1}', "--data", data).returncode == 0
    assert command("put", "orders/empty", "{}", "--data", data).returncode == 0
    empty = command("get", "orders/empty", "--data", data)
    assert (empty.returncode, empty.stdout) == (0, "{}\n")
    long = command("put", "orders/1", "-", "--data", data, text='{"a": "' + "x" * 300_000 + '"}')
    assert long.returncode == 64 and "at most 262144 bytes" in long.stderr


def test_content_nested_without_end_is_refused(data: str) -> None:
    for depth in (40, 5_000):
        text = '{"a": ' + "[" * depth + "]" * depth + "}"
        ended = command("put", "orders/1", text, "--data", data)
        assert ended.returncode == 64 and "nested" in ended.stderr, ended.stderr
        assert ended.stderr.count("\n") == 1


def test_ctrl_c_before_anything_runs(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert list(tmp_path.iterdir()) == []


# Where an interrupt finds the command before it made its loop.
WAITING = """
import sys, time
from gateway import __main__, simulate
from gateway.simulate import command

def make_plan(**settings):
    print("planning", flush=True)
    time.sleep(20)

command.make_plan = make_plan
sys.exit(__main__.main(["simulate"]))
"""
