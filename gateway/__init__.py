"""The Store Gateway: an always-on peer that keeps a store's devices in sync."""

__version__ = "0.1.0"
