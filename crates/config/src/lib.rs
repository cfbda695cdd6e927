//! What a user may set: validated values with documented defaults, from file, environment and code
