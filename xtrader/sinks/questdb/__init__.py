"""The QuestDB sink, by conversation: conf (what the user wants), server (SQL), tables, rows, delivery, ledger and watch (trust but
verify), state (what is remembered), sink (all of it)."""
