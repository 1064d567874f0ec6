"""What a device is in its store, and what it can make for others."""

import pytest

from gateway.core import messages as m
from gateway.core.errors import Code, PeerError
from gateway.core.membership import GATEWAY, Membership, allows
from gateway.core.primitives import public_of
from gateway.core.revocations import Revocations
from tests.core.stores import OTHER_ROOT, ROOT, Device, fresh, gateway, paired


def refused(code: Code, membership: Membership, token: str) -> None:
    with pytest.raises(PeerError) as raised:
        membership.admit_token(token)
    assert raised.value.code is code


def test_a_gateway_and_a_device() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    assert hub.of.is_gateway and not till.of.is_gateway
    assert hub.of.own.role == GATEWAY and till.of.own.role == "till"
    assert hub.of.store == till.of.store and till.of.root_public == public_of(ROOT)


def test_grants() -> None:
    grants: m.Grants = (("menu", m.RIGHT_READ), ("*", m.RIGHT_WRITE))
    assert allows(grants, "menu/1", m.RIGHT_READ) and allows(grants, "staff/1", m.RIGHT_WRITE)
    assert not allows(grants, "staff/1", m.RIGHT_READ) and not allows((), "a/1", m.RIGHT_READ)


def test_a_membership_of_another_device_is_none() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    for other, root in ((Device(2), ROOT), (till, OTHER_ROOT)):
        with pytest.raises(PeerError):
            Membership(
                till.peer, other.keys, public_of(root), *till.of.shown,
                Revocations(public_of(root)),
            )  # fmt: skip


def test_a_token_until_it_is_revoked() -> None:
    hub, other = gateway(1), gateway(2)
    peer = bytes([5]) * 16
    token = hub.of.token(peer, "menu board", (("menu", m.RIGHT_READ),), fresh()[:16])
    admitted = hub.of.admit_token(token)
    assert (admitted.peer, admitted.role) == (peer, "menu board")
    assert admitted.grants == (("menu", m.RIGHT_READ),) and not hub.of.shut_out(admitted)
    refused(Code.UNAUTHORISED, other.of, token)
    hub.of.revocations.add(hub.of.revocation(peer))
    assert hub.of.shut_out(admitted)
    refused(Code.REVOKED, hub.of, token)


def test_rights_begin_anew_after_a_revocation() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    for epoch in (1, 2):
        hub.of.revocations.add(hub.of.revocation(till.peer))
        assert hub.of.revocations.lowest_epoch(till.peer) == epoch
        assert hub.of.shut_out(till.of.own)
        till = paired(hub, 2)
        assert not hub.of.shut_out(till.of.own)


def test_a_gateway_that_was_revoked_comes_back_with_a_later_certificate() -> None:
    hub, other = gateway(1), gateway(2)
    hub.of.revocations.add(hub.of.revocation(other.peer))
    assert hub.of.shut_out(other.of.own)
    assert not hub.of.shut_out(gateway(2, epoch=1).of.own)
