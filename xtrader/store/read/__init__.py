"""A recording as a data set: questions in, rows and books out, its live end included."""
