"""Which versions of which apps live side by side in the store, and which were there before."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.core.text import shown

# What a peer may say of itself in HELLO that tells versions apart.
APP_KEYS = ("app", "app-version", "schema")
# The longest unseen are forgotten beyond this.
MAX_VERSIONS = 200

Version = tuple[str, ...]


@dataclass(slots=True)
class Versions:
    """Since this device started."""

    _present: Counter[Version] = field(default_factory=Counter)
    # When each was seen last, the longest unseen first.
    _seen: dict[Version, float] = field(default_factory=dict)

    def note(self, abouts: Iterable[Mapping[str, str]], now: float) -> None:
        """What every peer that is there now says of itself."""
        # There are few versions and many peers: what is costly is done for each version.
        said = Counter(tuple(about.get(key, "") for key in APP_KEYS) for about in abouts)
        self._present = Counter()
        for version, count in said.items():
            if any(version):
                self._present[tuple(map(shown, version))] += count
        # The most frequent come last and are kept.
        for version, _ in reversed(self._present.most_common(MAX_VERSIONS)):
            self._seen.pop(version, None)
            self._seen[version] = now
        for version in list(self._seen)[:-MAX_VERSIONS]:
            del self._seen[version]

    def listed(self, now: float) -> list[dict[str, object]]:
        """The most frequent first; of one that nobody runs now, how long ago somebody did."""
        rows = [
            (self._present[version], now - seen, version) for version, seen in self._seen.items()
        ]
        return [
            {**dict(zip(APP_KEYS, version, strict=True)), "peers": count, "seen_s": round(ago, 1)}
            for count, ago, version in sorted(rows, key=lambda row: (-row[0], row[1], row[2]))
        ]
