//! The unchanged output of the code generator, and the lints that it breaks.
#![expect(
    clippy::allow_attributes,
    clippy::exhaustive_enums,
    clippy::missing_errors_doc,
    missing_docs,
    unused_qualifications,
    reason = "generated code"
)]

pub mod conformance;
