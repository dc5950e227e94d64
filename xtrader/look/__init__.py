"""Looking at books and trades: of a running recorder by following its journal, of a recording by reading its files."""
