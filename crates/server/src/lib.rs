//! The plugin side: offer, listen, answer, serve, stop
