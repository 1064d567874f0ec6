"""The pages: a process of their own that knows the gateway only by its control door."""
