"""What the user wants: load (flags, variables, `.env`), values, destination, environment, directories."""
