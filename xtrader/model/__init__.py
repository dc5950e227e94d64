"""Nouns: no I/O, no clocks, no third-party imports but msgspec."""
