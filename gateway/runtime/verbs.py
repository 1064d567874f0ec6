"""What the admin door and scripts may ask of this device, by verb."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core import bridge
from gateway.core.errors import GatewayError
from gateway.core.gateway_metrics import gateway_metrics
from gateway.core.metrics import Metric, Process, exposition
from gateway.core.radio import OFF, section
from gateway.core.records import StoreStatus
from gateway.core.status import Identity, Moment, status
from gateway.ports import Clock, Store
from gateway.runtime.edits import EDITS, edit
from gateway.runtime.gossip import Gossip
from gateway.runtime.local import Local
from gateway.runtime.member_verbs import MemberVerbs
from gateway.runtime.neighbourhood import Neighbourhood
from gateway.runtime.perform import Performer
from gateway.runtime.traces import trace_of

EX_USAGE = 64


class Verbs:
    """``identity()`` is what this device says of itself now, ``process()`` what it takes;
    ``bluetooth()`` and ``cloud()`` see ``Moment``."""

    def __init__(
        self,
        performer: Performer,
        store: Store,
        local: Local,
        members: MemberVerbs,
        neighbourhood: Neighbourhood,
        gossip: Gossip,
        clock: Clock,
        identity: Callable[[], Identity],
        bluetooth: Callable[[], Mapping[str, Any]] | None,
        cloud: Callable[[], Mapping[str, Any]] | None = None,
        *,
        process: Callable[[], Process],
    ) -> None:
        self._performer = performer
        self._store = store
        self._local = local
        self._members = members
        self._neighbourhood = neighbourhood
        self._gossip = gossip
        self._clock = clock
        self._started = clock.monotonic()
        self._identity = identity
        self._bluetooth = bluetooth or partial(section, OFF)
        self._cloud = cloud or partial(bridge.section, bridge.OFF)
        self._process = process

    async def answer(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of a verb. Raises ``GatewayError``."""
        match verb:
            case "status":
                return await self._status()
            case "metrics":
                return {"text": exposition(await self._metrics())}
            case "backup":
                return await self._backup(arguments)
            case "trace":
                return await trace_of(self._performer, self._store, arguments)
            case "neighbours":
                return self._neighbourhood.listed()
        if verb in EDITS:
            return await edit(self._local, verb, arguments)
        answer = self._members.answer(verb, arguments)
        if answer is None:
            raise GatewayError("unknown-verb", f"there is no verb {verb[:40]!r}", EX_USAGE)
        return answer

    async def _backup(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(arguments.get("file", ""))
        if not name or "\0" in name:
            raise GatewayError("usage", "name the file that the backup is to be", EX_USAGE)
        target = Path(name)
        await self._performer.writer.call(partial(self._store.backup, target))
        return {"file": str(target)}

    async def _metrics(self) -> Sequence[Metric]:
        commits = self._performer.writer.commits
        return gateway_metrics(await self._status(), commits, self._process())

    async def _status(self) -> Mapping[str, Any]:
        figures = await self._performer.writer.call(self._store.status)
        assert isinstance(figures, StoreStatus)
        moment = Moment(
            self._clock.monotonic() - self._started,
            self._performer.waiting_changes,
            self._performer.waiting_bytes,
            self._performer.trouble,
            self._performer.round_trips(),
            self._gossip.reached(),
            self._gossip.apps(),
            self._bluetooth(),
            self._cloud(),
        )
        return status(self._identity(), moment, self._performer.hub, figures)
