"""How much one message may hold; docs/limits.md says how each cap was found."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps on what a peer sends; counts, unless the name says bytes."""

    message_bytes: int = 262_144
    # Clients whose structs or deletions one update holds.
    clients: int = 2_000
    # A state vector names everybody who ever wrote; the work for one is small.
    vector_clients: int = 20_000
    structs: int = 50_000
    delete_ranges: int = 50_000
    # Values in values, JSON in JSON, shared types in shared types.
    nesting: int = 32
    key_bytes: int = 256
    root_name_bytes: int = 128
    roots: int = 1_000
    # Yjs counts in 32 bits and the library in signed ones.
    clock: int = 2**31 - 1
    # Neighbours looked at to order concurrent insertions, about 0.14 us each.
    order_steps: int = 300_000
    # What it takes to cut structs in two, in units of about 4 ns.
    cut_units: int = 20_000_000
    awareness_entries: int = 1_024
    awareness_state_bytes: int = 2_048

    def as_dict(self) -> dict[str, int]:
        """The caps by name, for machines."""
        return asdict(self)


# For what this device wrote itself and only wants measured.
UNLIMITED = Limits(**dict.fromkeys(Limits().as_dict(), 2**53))
