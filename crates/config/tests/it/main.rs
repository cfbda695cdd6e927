//! Configurations as users write them.

mod faults;
mod precedence;
mod properties;
mod pyvider;
mod redaction;
mod registry;
mod sharing;
