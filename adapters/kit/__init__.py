"""What every adapter gets, whatever its platform: transport, resilience, pacing, outcomes, the check of answers."""
