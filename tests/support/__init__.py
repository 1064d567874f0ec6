"""What several tests need: processes, a proxy that breaks links, waiting for a state."""
