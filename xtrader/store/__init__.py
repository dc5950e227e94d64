"""Recordings that lie in files: reading, proving, mending and reporting them."""
