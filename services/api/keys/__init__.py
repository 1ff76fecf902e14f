"""API keys: making, finding and revoking them, over HTTP and, for the first one, at the command line."""
