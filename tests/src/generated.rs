//! The generator's output, as it comes. Its style is the generator's own; the lints that it does not keep are named
//! here.
#![expect(
    clippy::allow_attributes,
    clippy::exhaustive_enums,
    clippy::missing_errors_doc,
    missing_docs,
    unused_qualifications,
    reason = "generated code"
)]

pub mod conformance;
