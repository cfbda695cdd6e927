//! Tests of loaders and registries with files and variables of users.

mod faults;
mod precedence;
mod properties;
mod pyvider;
mod redaction;
mod registry;
mod sharing;
mod typos;
