"""What supervisors are told each month and year, counted from the ledger alone."""
