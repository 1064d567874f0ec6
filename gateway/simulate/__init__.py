"""A whole shop on one machine: real peers, real gateways, and everything that goes wrong."""
