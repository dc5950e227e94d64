"""The recorder put together: compose (settings -> objects), recorder (one run of them), workers (several processes as one),
telemetry and status (what it says of itself). Commands call it; it knows no command."""
