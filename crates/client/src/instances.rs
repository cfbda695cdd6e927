//! Instances: several values of one kind in one plugin process, each with an id and a configuration.

mod instance;
mod requests;

pub use self::instance::{InstanceRemoval, PluginInstance};
pub(crate) use self::{
    instance::RemoveInstance,
    requests::{InstanceLimits, InstanceRequests},
};
