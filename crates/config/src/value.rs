//! The types of settings, and their text form.
//!
//! Files, the environment and code all provide text, so that a value means the same in every layer.

mod byte_size;
mod choice;
mod duration;
mod env_policy;
mod pem;
mod rate;
mod tcp_port;
mod text;

pub use byte_size::ByteSize;
pub use choice::{LogLevel, TransportKind};
pub use env_policy::EnvPolicy;
pub use pem::{Pem, SecretPem};
pub use rate::{Rate, Rates};
pub use tcp_port::TcpPort;
pub(crate) use text::{FILE_SCHEME, NONE, Shape, Text};
