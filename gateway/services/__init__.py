"""Servicers: thin. Each checks the message, calls the domain, and answers."""
