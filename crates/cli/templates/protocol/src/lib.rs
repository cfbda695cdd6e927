//! The protocol of plugins and hosts: the services, their version, and the magic cookie.

tonic::include_proto!("__snake__.v1");

/// The descriptors of the services, for tools.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");

/// The version of the services. Raise it for a change that old hosts do not understand.
pub const VERSION: u32 = 1;

/// The magic cookie: a variable and its value. A program that starts without the variable was not launched by a host: the
/// plugin then explains what it is, and exits. The cookie is not a secret.
pub const COOKIE: (&str, &str) = ("__SHOUT___PLUGIN", "__cookie__");
