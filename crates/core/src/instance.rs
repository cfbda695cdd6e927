//! Instances: several values of one kind in one plugin process, each with an id and a configuration.

mod configuration;
mod id;

pub use configuration::{ConfigurationError, InstanceConfiguration};
pub use id::{InstanceId, InstanceIdError};
