//! Who may complete a handshake, for both roles.
//!
//! Both verifiers really check the signature over the handshake: a certificate is public, its key is the proof.

mod authorities;
mod pinned;
mod words;

pub(crate) use authorities::AuthoritiesVerifier;
pub(crate) use pinned::PinnedVerifier;
