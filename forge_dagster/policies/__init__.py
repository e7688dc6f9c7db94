"""What an organisation may ask of its model: one file a kind of policy."""
