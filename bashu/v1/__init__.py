"""The generated contract, package bashu.v1; made by `make proto`, never edited."""
