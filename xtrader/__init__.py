"""xtrader: a market-data recorder whose recordings can be proven complete."""

__version__ = "0.1.0"
