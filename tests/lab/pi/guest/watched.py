"""For the lab's own tests: a service that is well for systemd until the file argv[1] is there.

The datagrams of sd_notify(3) by hand, so that the lab needs no library.
"""

import os
import socket
import sys
import time
from pathlib import Path

# A fraction of the WatchdogSec= of the test.
PAUSE_SECONDS = 0.1

address = os.environ["NOTIFY_SOCKET"]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
    wire.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    wire.send(b"READY=1")
    print("well", flush=True)
    while True:
        if not Path(sys.argv[1]).exists():
            wire.send(b"WATCHDOG=1")
        time.sleep(PAUSE_SECONDS)
