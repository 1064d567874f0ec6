"""One third-party library per module; no adapter imports another."""
