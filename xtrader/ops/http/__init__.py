"""HTTP for people, probes and metrics, in a process of its own: it asks the recorder at its door, and can never hold it up."""
