//! Algorithms of keys.

/// The algorithm of an identity's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256. The default, because every peer can verify it.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521, which go-plugin uses. Only the feature `aws-lc-rs` can generate such keys. Peers built on BoringSSL (Python, C++,
    /// Ruby) cannot verify them.
    P521,
    /// Ed25519. Peers built on BoringSSL do not accept it by default.
    Ed25519,
}
