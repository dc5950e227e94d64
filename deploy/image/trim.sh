#!/bin/sh
# Takes out of an environment what no recorder runs: packages' own tests, headers and sources, and what Arrow has for remote calls.
set -eu
cd "$1"/lib/python3*/site-packages
find . -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf pyarrow/include pyarrow/src pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so* pyarrow/_flight.* pyarrow/flight.py
find . \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.h' -o -name '*.c' -o -name '*.cpp' \) -type f -delete
find questdb -name '*.html' -type f -delete 2>/dev/null || true
