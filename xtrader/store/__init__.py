"""The reading half: a recording as a data set, its live end included."""
