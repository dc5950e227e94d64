"""Benchmarks that anybody can run: `make bench`. Figures are ratios of CPU time taken in one run on one machine."""
