//! The host side: command, spawn, answer, channel, stop
