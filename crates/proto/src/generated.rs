//! Generated code, with the lints that it does not keep.
#![expect(
    clippy::allow_attributes,
    clippy::exhaustive_enums,
    clippy::missing_errors_doc,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]

pub(crate) mod instances;
pub(crate) mod metadata;
pub(crate) mod plugin;
