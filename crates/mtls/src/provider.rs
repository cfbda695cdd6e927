//! The crypto provider of all TLS settings.

#[cfg(all(feature = "ring", feature = "p521", not(feature = "aws-lc-rs")))]
mod p521;
#[cfg(all(feature = "ring", feature = "p521", not(feature = "aws-lc-rs")))]
mod sha512;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::alg_id;

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!(
    "rpcplugin-mtls needs a crypto provider: enable the feature `ring` (the default, quick to build and to start) \
     or `aws-lc-rs` (AWS-LC, which makes P-521 identities too)"
);

/// Returns the crypto provider of this build: aws-lc-rs if its feature is on, otherwise ring. The feature `p521` adds P-521 to ring, and
/// SHA-512 on the shorter curves.
///
/// The provider is built once per process. It is never installed as the process-wide default of rustls.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(build()));
    Arc::clone(&PROVIDER)
}

#[cfg(feature = "aws-lc-rs")]
fn build() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "p521"), not(feature = "aws-lc-rs")))]
fn build() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(all(feature = "ring", feature = "p521", not(feature = "aws-lc-rs")))]
fn build() -> CryptoProvider {
    let ring = rustls::crypto::ring::default_provider();
    CryptoProvider {
        signature_verification_algorithms: p521::added_to(ring.signature_verification_algorithms),
        key_provider: &p521::Keys,
        ..ring
    }
}

/// Whether signatures of P-521 keys can be verified.
pub(crate) fn verifies_p521(algorithms: &WebPkiSupportedAlgorithms) -> bool {
    algorithms.all.iter().any(|algorithm| algorithm.public_key_alg_id() == alg_id::ECDSA_P521)
}
