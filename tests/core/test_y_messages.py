"""Plain y-websocket frames: group A of the hostile inputs, and what the stock client sends."""

import pytest
from pycrdt import Doc, YMessageType, YSyncMessageType, create_sync_message, create_update_message

from gateway.core import y_messages as y
from gateway.core.errors import Code, PeerError


def test_what_others_encode_is_understood() -> None:
    doc: Doc = Doc()
    assert y.decode(create_sync_message(doc)) == y.Step1(doc.get_state())
    assert y.decode(create_update_message(b"\x00\x00")) == y.Change(b"\x00\x00", answer=False)
    assert (YMessageType.SYNC, YSyncMessageType.SYNC_UPDATE) == (y.SYNC, y.UPDATE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (y.step_1(b"\x00"), y.Step1(b"\x00")),
        (y.step_2(b"\x00\x00"), y.Change(b"\x00\x00", answer=True)),
        (y.update(b"\x00\x00"), y.Change(b"\x00\x00", answer=False)),
        (y.presence(b"\x00"), y.Presence(b"\x00")),
        (b"\x03", y.PresenceQuery()),
    ],
)
def test_round_trip(data: bytes, message: y.Message) -> None:
    assert y.decode(data) == message


@pytest.mark.parametrize(
    "data", [b"\x02\x00", b"\x04", b"\x7f", b"\xff\x01\x00", b"\x00\x03", b"\x00\x7f\x01"]
)
def test_unknown_types_are_skipped(data: bytes) -> None:
    assert y.decode(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00", b"\x00\x00", b"\x00\x02", b"\x80\x00", b"\xff" * 12, b"\x00\x02\x05\x00",
        b"\x00\x02\x01\x00\x00", b"\x00\x00\x01\x00" * 2, b"\x01\x02\x00", b"null", b"\x01",
        b"\x00\x02\xff\xff\xff\xff\x0f",
    ],
)  # fmt: skip
def test_broken_frames_are_refused(data: bytes) -> None:
    if data == b"null":
        assert y.decode(data) is None
        return
    with pytest.raises(PeerError) as caught:
        y.decode(data)
    assert caught.value.code is Code.MALFORMED
