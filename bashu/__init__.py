"""What a lender installs: the generated contract, a typed client, the command line, the offline verifier."""
