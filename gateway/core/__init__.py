"""The pure core: no asyncio, sockets, files, threads, clock or randomness."""
