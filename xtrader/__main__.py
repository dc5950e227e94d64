"""`python -m xtrader`."""

from xtrader.cli.main import program

if __name__ == "__main__":
    program()
