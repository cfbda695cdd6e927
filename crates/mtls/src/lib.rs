//! Identities, trust and TLS settings for mutual TLS.
//!
//! A host and its plugin need no certificate authority. Each generates an [`Identity`] when it starts and passes its certificate to the
//! other: the host through the plugin's environment, the plugin through its handshake line. Each side then accepts exactly the other's
//! certificate. [`MutualTls`] combines an identity and a [`Trust`] to the TLS settings of both roles. The settings always authenticate
//! both sides.
//!
//! This crate opens no connection and starts no task. It reads PEM files that a user names, and the clock to date and check
//! certificates.
//!
//! ```
//! use rpcplugin_mtls::{Identity, MutualTls, Trust};
//!
//! let host = Identity::generate()?;
//! let plugin = Identity::generate()?;
//!
//! let of_host = MutualTls::new(host.clone(), Trust::Pinned(plugin.peer_certificate()))?;
//! let of_plugin = MutualTls::new(plugin, Trust::Pinned(host.peer_certificate()))?;
//!
//! let _dial_with = of_host.client_config();
//! let _accept_with = of_plugin.server_config();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//!
//! - An [`Identity`] always has a certificate chain and the private key of its first certificate.
//! - No `Debug` and no error shows a private key. Only [`Identity::export`] returns it.
//! - Every handshake signature is verified: a copy of a certificate proves nothing.
//! - The crate neither reads nor sets the process-wide default of rustls, which belongs to the application.
//!
//! # Features
//!
//! `ring` (default) builds in seconds and starts in a fraction of a millisecond.
//!
//! `p521` (default) adds what ring lacks: P-521, which go-plugin peers use, and signatures with SHA-512 on P-256 and P-384. Without it the
//! certificate of such a peer is refused with an error that names the feature. `aws-lc-rs` does not need it.
//!
//! `aws-lc-rs` links AWS-LC in place of ring. It also generates ephemeral identities on P-521, and it builds more slowly. If both features
//! are on, `aws-lc-rs` is used. It enables neither the FIPS module of AWS-LC nor a preference for post-quantum key exchange:
//! X25519MLKEM768 is offered after the classic groups. Set `AWS_LC_SYS_NO_JITTER_ENTROPY=1` when you build the final program with this
//! feature; otherwise the first key takes about 31 ms.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::tls`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod der;
mod identity;
mod mutual;
mod os;
mod peer;
mod pem;
mod provider;
mod trust;
mod usage;
mod validity;
mod verifier;

pub use identity::{ExportedIdentity, Identity, IdentityError, KeyAlgorithm};
pub use mutual::{MutualTls, TlsError};
pub use peer::{PeerCertificate, PeerCertificateError};
pub use pem::{PemError, PemOrigin};
pub use provider::provider;
pub use trust::{RootCertificates, Trust};
pub use validity::OutOfDate;
