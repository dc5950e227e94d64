"""What changes a recording that is there: merging small parts, saving what a damaged one still has, finishing a journal."""
