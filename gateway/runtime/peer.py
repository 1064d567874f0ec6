"""Serve one link: bytes to the session, its events to the hub, until either ends."""

import asyncio

from gateway.core.errors import PeerError
from gateway.core.events import Compared, Event, Subscribed, Unsubscribed, UpdateReceived
from gateway.core.guard import inspect_update
from gateway.core.session import Session, State
from gateway.ports import Clock, Link
from gateway.runtime.budget import Budget
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper
from gateway.runtime.turns import Turns

# Above this an update is inspected beside the loop, so that nobody else waits for it.
HEAVY_BYTES = 8_192
TICK_SECONDS = 1.0
# After this many messages or events of one peer the others have their turn.
TURN_MESSAGES = 8
# Who has sent more than this without a pause is served at about 4,000 messages a second.
BACKLOG_MESSAGES = 256
BACKLOG_PAUSE_SECONDS = 0.002
# Answers to its changes that wait for a peer; beyond it must take them before more are read.
MOST_RECORDS = 256


async def serve(
    link: Link, session: Session, performer: Performer, helper: Helper, budget: Budget
) -> None:
    """Run a session over a link until one of them closes. Raises only our own faults."""
    performer.join(session, link)
    turns = Turns(session, performer, budget)
    try:
        for event in session.first_events():
            await performer.take(session, event)
        while _lives(session) and (batch := await link.recv()):
            for number, message in enumerate(batch, 1):
                for place, event in enumerate(session.receive(message), 1):
                    if isinstance(event, Compared):
                        turns.take(event)
                        await asyncio.sleep(0)
                    else:
                        if isinstance(event, Subscribed | Unsubscribed):
                            turns.forget(event.number)
                        await take(session, event, performer, helper)
                    while link.congested and _waits(session, event):
                        await link.writable()
                    if not place % TURN_MESSAGES:
                        await asyncio.sleep(0)
                # Some of what it says is answered by the session alone.
                if session.outbox:
                    performer.wake(session)
                if not number % TURN_MESSAGES:
                    await asyncio.sleep(0 if number < BACKLOG_MESSAGES else BACKLOG_PAUSE_SECONDS)
    finally:
        turns.close()
        performer.leave(session)


async def take(session: Session, event: Event, performer: Performer, helper: Helper) -> None:
    """Let the hub decide on an event; a large update is inspected beside the loop."""
    if not isinstance(event, UpdateReceived) or len(event.update) < HEAVY_BYTES:
        await performer.take(session, event)
        return
    try:
        facts = await helper.run(inspect_update, event.update, performer.hub.limits)
    except PeerError as error:
        performer.perform(performer.hub.refused(session, event, error))
    else:
        await performer.take(session, event, facts)


def _lives(session: Session) -> bool:
    return session.state is not State.CLOSED


def _waits(session: Session, event: Event) -> bool:
    """Whether a peer that does not take what it is sent is read no further.

    Its own changes make us say little, so they are not held back by what it is sent.
    """
    small = isinstance(event, UpdateReceived) and len(session.outbox.records) < MOST_RECORDS
    return _lives(session) and not small


async def keep_time(performer: Performer, clock: Clock) -> None:
    """Tell the hub the time once a second, for ever."""
    while True:
        performer.tick(clock.monotonic())
        await asyncio.sleep(TICK_SECONDS)
