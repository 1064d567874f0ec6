"""The command ``simulate`` and what it takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.arguments import whole_number

SIMULATE = """\
Kiosks, tablets and gateways are processes of their own, each with a store of its own. Links are
lost, devices and gateways lose power, and in the end everybody has to have the same and every
order that was called saved. Exit code 0 if so; 1 if not, or if there was no order to try it with.
  %(prog)s --kiosks 4 --tablets 4 --minutes 0.5     a first look
  %(prog)s --gateways 2 --outages 6 --seed 7
"""
_NAMES = ("kiosks", "tablets", "gateways", "minutes", "outages", "rate", "seed")

Say = Callable[[str], None]
AddCommand = Callable[..., argparse.ArgumentParser]


def add(add_command: AddCommand, allow_many_links: Callable[[], None], say: Say) -> None:
    """Add the command by ``add_command(name, function, summary, more, bare=True)``."""
    run = partial(_simulate, allow_many_links, say)
    summary = "run a whole shop on this machine"
    parser = add_command("simulate", run, summary, SIMULATE, bare=True)
    for name, kind, default, meaning in (
        ("kiosks", whole_number(1, 200), 20, "devices that ring up orders"),
        ("tablets", whole_number(1, 200), 10, "devices in the kitchens that work on them"),
        ("gateways", whole_number(1, 8), 1, "gateways; each calls those before it"),
        ("minutes", _minutes, 2.0, "how long the day is"),
        ("outages", whole_number(0, 50), 3, "times nobody reaches the gateway"),
        ("rate", whole_number(1, 6_000), 120, "orders a minute, of all kiosks together"),
        ("seed", int, 1, "the same seed is the same day"),
    ):
        parser.add_argument(
            f"--{name}", type=kind, default=default, metavar="N", help=f"{meaning} ({default})"
        )
    parser.add_argument(
        "--picture", type=Path, default=Path("store-simulation.html"), metavar="FILE",
        help="a page with charts (store-simulation.html)",
    )  # fmt: skip
    parser.add_argument("--no-picture", action="store_true", help="write no page")
    parser.add_argument("--keep", action="store_true", help="keep all stores and logs")


def _simulate(allow_many_links: Callable[[], None], say: Say, options: argparse.Namespace) -> int:
    from gateway.simulate.command import simulate

    allow_many_links()
    settings = {name: getattr(options, name) for name in _NAMES}
    picture = None if options.no_picture else options.picture
    return simulate(settings, say, as_json=options.json, picture=picture, keep=options.keep)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0.05 <= minutes <= 1_440:
        raise argparse.ArgumentTypeError(f"minutes from 0.05 to 1440, not {text!r}")
    return minutes
