"""Platforms as the gateway deals with them: configured, admitted to and stopped by their operators, watched."""
