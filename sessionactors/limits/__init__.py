"""The arithmetic of rate limits, without actors and clocks."""
