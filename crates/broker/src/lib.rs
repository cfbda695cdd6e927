//! Numbered side connections over the main one, direct and multiplexed, identical on both sides
