"""Load driver, scenarios and comparisons. Everything here is a client of the gateway, as a lender or a borrower is."""
