"""What the gateway's operator allows an institution: queries a day and a second, counted over all workers."""
