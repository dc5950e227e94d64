"""Raw recordings of sessions: readers of the formats that people have on disk, and a format of our own. Formats only, no venues."""
