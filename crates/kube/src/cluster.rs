//! The cluster that a host uses: by a kubeconfig, or by the service account of its own pod.

use std::fmt;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, KubeconfigError},
};
use rustls::crypto::CryptoProvider;

use crate::{
    error::{Action, KubeError},
    text::chain,
};

/// A client of an API server.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The namespace of pods that name no other.
    pub(crate) namespace: String,
    /// Whether this host runs in a pod of the same cluster.
    pub(crate) inside: bool,
}

impl Cluster {
    /// The cluster of a client that the host made. Where the client came from is not known.
    pub(crate) fn given(client: Client) -> Self {
        let namespace = client.default_namespace().to_owned();
        Self { client, namespace, inside: false }
    }

    /// The cluster of the kubeconfig, in the order of `kubectl`: the files that KUBECONFIG names, or `~/.kube/config`. Without a usable
    /// one, the cluster in whose pod this host runs.
    pub(crate) async fn find(context: Option<&str>) -> Result<Self, KubeError> {
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let (mut config, inside) = match Config::from_kubeconfig(&options).await {
            Ok(config) => (config, false),
            Err(error) if context.is_some() => return Err(no_cluster(&error, None)),
            Err(error) => match Config::incluster() {
                Ok(config) => (config, true),
                Err(outside) => return Err(no_cluster(&error, Some(&outside))),
            },
        };
        // The requests of this crate have time limits, and are repeated where that is safe.
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        choose_provider();
        let client = Client::try_from(config)
            .map_err(|error| KubeError::Api { action: Action::Connect, message: chain(&error) })?;
        Ok(Self { client, namespace, inside })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("namespace", &self.namespace)
            .field("inside", &self.inside)
            .finish_non_exhaustive()
    }
}

/// Chooses the crypto provider of the process as rustls would, but also where the program has more than one compiled in: kube asks rustls
/// for the default, and rustls panics if there is a choice.
fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        #[cfg(feature = "aws-lc-rs")]
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        #[cfg(not(feature = "aws-lc-rs"))]
        let provider = rustls::crypto::ring::default_provider();
        // A failure: another thread was first.
        let _ = provider.install_default();
    }
}

fn no_cluster(error: &KubeconfigError, outside: Option<&kube::config::InClusterError>) -> KubeError {
    let mut message = chain(error);
    if let Some(outside) = outside {
        message = format!("{message}; and not in a pod: {}", chain(outside));
    }
    KubeError::NoCluster { message }
}
