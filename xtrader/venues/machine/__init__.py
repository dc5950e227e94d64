"""What venues share, once: each piece knows no venue, and a venue takes those that it needs."""
