//! Reports of errors.

mod category;
mod causes;
mod hook;
mod plain;

pub use category::ErrorCategory;
pub use causes::{causes, innermost, with_causes};
pub use hook::plain_reports;
pub use plain::PlainReport;
