"""The processes of one machine: started together, watched, restarted, stopped."""
