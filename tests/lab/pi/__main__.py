"""``python -m tests.lab.pi``: make what the lab needs, before the tests; for ./dev lab."""

import sys

from tests.lab.pi import release
from tests.lab.pi.cache import LabUnavailable
from tests.lab.pi.kernel import kernel, missing
from tests.lab.pi.layer import layer


def main(arguments: list[str]) -> int:
    """Make it; with ``--missing`` only name the Debian packages for that, one a line."""
    if arguments == ["--missing"]:
        sys.stdout.write("".join(f"{package}\n" for package in missing()))
        return 0
    try:
        kernel()
        layer(release.host())
    except LabUnavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
