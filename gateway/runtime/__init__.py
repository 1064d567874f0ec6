"""Asyncio glue between ports and core; no third-party library."""
