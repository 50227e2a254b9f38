"""What the user wrote, read once into frozen values that remember their lines."""
