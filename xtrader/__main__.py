"""`python -m xtrader`."""

import sys

from xtrader.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
