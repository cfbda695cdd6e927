//! Reports of errors.

mod category;
mod causes;
mod plain;

pub use category::ErrorCategory;
pub use causes::{causes, innermost, with_causes};
pub use plain::PlainReport;
