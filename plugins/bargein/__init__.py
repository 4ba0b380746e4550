"""Good manners for voice agents when people talk over them."""
