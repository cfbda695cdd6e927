//! What plugins and their hosts agree on: the services, and how the two recognise each other.

tonic::include_proto!("__snake__.v1");

/// Describes the services to tools that know nothing of them.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");

/// The version of the services. Raise it when old hosts no longer understand new plugins.
pub const VERSION: u32 = 1;

/// The variable by which a plugin knows that a host of this kind started it, and its value. It is no secret: it keeps
/// people from starting the plugin by hand.
pub const COOKIE: (&str, &str) = ("__SHOUT___PLUGIN", "__cookie__");
