//! One-time identities and TLS settings that trust exactly what was agreed.
//!
//! Two programs that start together need no authority to vouch for them: each makes an [`Identity`] when it
//! starts, hands the other its certificate over a channel that already exists (the environment of the child,
//! the first line of its standard output), and from then on accepts that one certificate and no other.
//! [`MutualTls`] turns an identity and a [`Trust`] into the settings for both roles, and there is no way to get
//! settings that authenticate only one side.
//!
//! This crate opens no connection and starts no task. Reading a PEM file that a user named is its only input
//! from outside, and the clock is read only to date and to judge certificates.
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
//! - An [`Identity`] always holds a certificate chain and the private key that belongs to its first certificate.
//! - A private key is shown by no `Debug` and by no error; it leaves only through [`Identity::export`].
//! - Every handshake signature is really verified: owning a copy of a certificate proves nothing.
//! - The process-wide default of rustls is neither read nor set, so an application may do with it as it likes.
//!
//! # Features
//!
//! `ring` (default) starts in a fraction of a millisecond and builds in seconds; P-521, which go-plugin peers use,
//! and signatures with SHA-512 on P-256 and P-384 are done by the pure-Rust crates `p521`, `p256` and `p384`.
//! `aws-lc-rs` links AWS-LC in ring's place, which makes one-time identities on P-521 too, for a slower build; it wins where
//! both are on. It turns on neither the FIPS module of AWS-LC nor a preference for post-quantum key exchange:
//! X25519MLKEM768 is offered after the classic groups. Set `AWS_LC_SYS_NO_JITTER_ENTROPY=1` when building
//! the final program with it, or the first key costs about 31 ms.

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
