//! The words both sides of rpcplugin share.
//!
//! A *host* is the program that loads plugins (go-plugin calls it the client); a *plugin* is the process it talks
//! to (go-plugin's server). This crate holds the values that both speak in: which [protocol version](AppVersion) of
//! the application is spoken, [where](Endpoint) a plugin listens, the [magic cookie](MagicCookie) that tells a
//! plugin that a host started it, and the [numbers](ServiceId) of brokered services.
//!
//! It does no I/O, reads no environment and knows neither gRPC nor TLS. Every type is parsed once, on the way in,
//! and cannot hold a value that would break the handshake later.
//!
//! ```
//! use rpcplugin_core::{AppVersion, Endpoint, MagicCookie, Versions};
//!
//! let cookie = MagicCookie::new("KV_PLUGIN", "hello")?;
//! let served = Versions::new([1, 3, 2])?;
//! assert_eq!(served.newest(), AppVersion(3));
//! assert!(Endpoint::parse("unix", "/tmp/plugin1").is_ok());
//! assert!(!format!("{cookie:?}").contains("hello"), "a cookie never reaches a log");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cookie;
mod endpoint;
mod os;
mod pid;
mod report;
mod service_id;
mod tcp_ports;
mod trace_context;
mod version;
mod visible;

pub use cookie::{CookieError, MagicCookie};
pub use endpoint::{Endpoint, EndpointError, HostPort, SocketPath};
pub use pid::Pid;
pub use report::{ErrorCategory, PlainReport, causes, innermost};
pub use service_id::ServiceId;
pub use tcp_ports::{PortRange, PortRangeError, TcpPorts};
pub use trace_context::TraceContext;
pub use version::{AppVersion, CORE_PROTOCOL_VERSION, Versions, VersionsError};
pub use visible::{Visible, disturbs};
