//! What can be found out about a plugin, a certificate, a process and a file.

mod certificate;
mod metadata;
mod process;

pub(crate) use self::{
    certificate::CertificateFacts,
    metadata::MetadataFacts,
    process::{FileFacts, ProcessFacts},
};
