//! The ports on which plugins may listen: the settings, and the value that they stand for.

use rpcplugin_core::TcpPorts;

use crate::{
    error::FaultKind,
    schema::{Contradiction, Joint, table},
    value::Text,
};

table! {
    /// The settings of [`HostConfig::tcp_ports`](crate::HostConfig::tcp_ports).
    pub(crate) struct PortSettings {
        /// The lowest TCP port on which a plugin may listen. If this and `max_port` are 0, the operating system chooses a port.
        min_port: u16 = "10000", env ["PLUGIN_MIN_PORT"], pyvider [];
        /// The highest TCP port on which a plugin may listen.
        max_port: u16 = "25000", env ["PLUGIN_MAX_PORT"], pyvider [];
    }
}

impl Joint for TcpPorts {
    type Settings = PortSettings;

    fn join(settings: Self::Settings) -> Result<Self, Contradiction> {
        let PortSettings { min_port, max_port } = settings;
        if min_port == 0 && max_port > 0 {
            let fault = FaultKind::OutOfRange {
                setting: "min_port".to_owned(),
                given: min_port.to_text(),
                allowed: format!("from 1 to {}", u16::MAX),
            };
            return Err(Contradiction::new(&["min_port"], fault));
        }
        Self::between(min_port, max_port)
            .map_err(|error| Contradiction::new(&["min_port", "max_port"], FaultKind::Ports(error)))
    }

    fn split(&self) -> Self::Settings {
        let (min_port, max_port) = self.numbers().into_inner();
        PortSettings { min_port, max_port }
    }
}
