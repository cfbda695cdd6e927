//! The addresses of a plugin in its pod, as the host sees them.

use std::net::{IpAddr, SocketAddr};

use rpcplugin_broker::{BoxError, Translate};
use rpcplugin_core::{Endpoint, HostPort};

use crate::error::KubeError;

/// Translates the addresses that a plugin in a pod announces.
#[derive(Debug)]
pub(crate) struct PodAddresses {
    /// The address of the pod, if the host connects to it.
    pub(crate) pod: Option<IpAddr>,
}

impl Translate for PodAddresses {
    /// A pod reaches neither the sockets nor the ports of the host.
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Err(KubeError::NotMultiplexed { endpoint: endpoint.to_string() }.into())
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        match (endpoint, self.pod) {
            (Endpoint::Tcp(announced), Some(pod)) => {
                let address = SocketAddr::new(pod, announced.port());
                Ok(Endpoint::Tcp(HostPort::parse(&address.to_string())?))
            }
            // The kubelet connects to the port in the network of the pod, whatever the address.
            (Endpoint::Tcp(_), None) => Ok(endpoint.clone()),
            (endpoint, _) => Err(KubeError::UnixSocket { path: endpoint.address() }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(HostPort::parse(address).unwrap())
    }

    #[test]
    fn the_address_of_the_pod_takes_the_place_of_the_announced_one() {
        let inside = PodAddresses { pod: Some([10, 0, 0, 7].into()) };
        assert_eq!(inside.dial_as(&tcp("0.0.0.0:7400")).unwrap(), tcp("10.0.0.7:7400"));
        let six = PodAddresses { pod: Some("fd00::7".parse().unwrap()) };
        assert_eq!(six.dial_as(&tcp("0.0.0.0:7400")).unwrap().address(), "[fd00::7]:7400");
        let outside = PodAddresses { pod: None };
        assert_eq!(outside.dial_as(&tcp("0.0.0.0:7400")).unwrap(), tcp("0.0.0.0:7400"));
    }

    #[test]
    fn unix_sockets_and_the_sockets_of_the_host_are_refused_with_the_way_out() {
        let addresses = PodAddresses { pod: None };
        let unix = Endpoint::parse("unix", "/tmp/plugin1").unwrap();
        let refused = addresses.dial_as(&unix).unwrap_err();
        let expected = KubeError::UnixSocket { path: "/tmp/plugin1".into() };
        assert_eq!(refused.downcast_ref::<KubeError>(), Some(&expected));
        let refused = addresses.announce_as(&tcp("127.0.0.1:1")).unwrap_err();
        assert!(matches!(refused.downcast_ref(), Some(KubeError::NotMultiplexed { .. })), "{refused}");
    }
}
