//! rustls' verifiers of certificates: which peers may complete a handshake.

mod peer_verifier;
mod pinned;
mod roots;
mod unsupported_signature;

pub(crate) use peer_verifier::PeerVerifier;
pub(crate) use pinned::Pinned;
pub(crate) use roots::Roots;
