//! What one host passes to another about a running plugin.

pub(crate) mod attachment;
pub(crate) mod handover;

pub use self::{
    attachment::Attachment,
    handover::{Handover, HandoverError},
};
