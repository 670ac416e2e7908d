"""The operator's table of policy limits: reading and writing its versions. What it decides is admission check 11."""
