"""gedanken: thought experiments for agents."""
