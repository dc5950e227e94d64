"""Examines everything that a recorder depends on, and says what to do: the machine, the network, venues, sinks, the journal."""
