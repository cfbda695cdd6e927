//! The workspace task runner.
fn main() {}
