"""Whether a recording is what was written, and whether what it says follows from itself."""
