//! What can be found out about a certificate, a process and a file.

mod certificate;
mod process;

pub(crate) use self::{
    certificate::CertificateFacts,
    process::{FileFacts, ProcessFacts},
};
