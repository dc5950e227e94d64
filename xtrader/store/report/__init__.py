"""What was recorded and what was not, in figures and pictures."""
