"""What is compared; each module has functions from a ``Run`` to a ``Result``."""
