//! Paths of sockets, as the plugin and as the host see them.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use rpcplugin_broker::Translate;
use rpcplugin_core::{Endpoint, SocketPath};
use rpcplugin_transport::{Dial, Stream, dial};

use crate::os::HeldSocket;

/// The directory of the plugin's sockets, as the plugin sees it.
pub const SOCKET_DIR: &str = "/run/rpcplugin";

/// Translates between the directory on the host and [`SOCKET_DIR`].
#[derive(Debug)]
pub(crate) struct MountedDir {
    outside: PathBuf,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl MountedDir {
    pub(crate) fn new(outside: &Path) -> Self {
        Self { outside: outside.to_owned() }
    }
}

impl Translate for MountedDir {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        moved(endpoint, &self.outside, Path::new(SOCKET_DIR))
            .ok_or_else(|| format!("{endpoint} is not in {}", self.outside.display()).into())
            .and_then(endpoint_of)
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        moved(endpoint, Path::new(SOCKET_DIR), &self.outside)
            .ok_or_else(|| {
                format!(
                    "{endpoint} is not in {SOCKET_DIR}, the directory that the container shares with the host; \
                     the plugin has to listen where PLUGIN_UNIX_SOCKET_DIR or TMPDIR says"
                )
                .into()
            })
            .and_then(endpoint_of)
    }
}

/// Connects to sockets in the directory, and to nothing that the plugin has put in their place: a link would lead the host to any
/// socket of its machine.
#[derive(Debug)]
pub(crate) struct DialWithoutLinks;

impl Dial for DialWithoutLinks {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        let Endpoint::Unix(path) = endpoint else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a container has Unix sockets only"));
        };
        let held = HeldSocket::at(path.as_path())?;
        let path = SocketPath::new(held.path()).map_err(io::Error::other)?;
        dial(&Endpoint::Unix(path)).await.map_err(|error| error.source)
    }
}

/// The path in `to` that the endpoint has in `from`. Only a name in the directory itself is translated: the plugin is not trusted
/// with paths that lead out of it again, by dots or by links.
fn moved(endpoint: &Endpoint, from: &Path, to: &Path) -> Option<PathBuf> {
    let Endpoint::Unix(path) = endpoint else { return None };
    let mut inner = path.as_path().strip_prefix(from).ok()?.components();
    match (inner.next(), inner.next()) {
        (Some(Component::Normal(name)), None) => Some(to.join(name)),
        _ => None,
    }
}

fn endpoint_of(path: PathBuf) -> Result<Endpoint, BoxError> {
    Ok(Endpoint::Unix(SocketPath::new(path)?))
}

#[cfg(test)]
mod tests {
    use rpcplugin_core::HostPort;

    use super::*;

    fn unix(path: &str) -> Endpoint {
        Endpoint::Unix(SocketPath::new(path).expect("a path"))
    }

    #[test]
    fn sockets_keep_their_names() {
        let dir = MountedDir::new(Path::new("/tmp/rpcplugin-x"));
        assert_eq!(
            dir.dial_as(&unix("/run/rpcplugin/plugin1")).expect("inside"),
            unix("/tmp/rpcplugin-x/plugin1")
        );
        assert_eq!(
            dir.announce_as(&unix("/tmp/rpcplugin-x/broker2")).expect("inside"),
            unix("/run/rpcplugin/broker2")
        );
    }

    #[test]
    fn paths_outside_of_the_directory_are_refused() {
        let dir = MountedDir::new(Path::new("/tmp/rpcplugin-x"));
        for path in [
            "/tmp/plugin1",
            "/run/rpcplugin/../docker.sock",
            "/run/rpcplugin-2/plugin",
            "/run/rpcplugin/sub/plugin",
            "/run/rpcplugin",
        ] {
            let error = dir.dial_as(&unix(path)).expect_err(path);
            assert!(error.to_string().contains("PLUGIN_UNIX_SOCKET_DIR"), "{error}");
        }
        assert!(dir.announce_as(&unix("/run/rpcplugin/plugin1")).is_err(), "the plugin's side");
        let tcp = Endpoint::Tcp(HostPort::parse("127.0.0.1:80").expect("an address"));
        assert!(dir.dial_as(&tcp).is_err() && dir.announce_as(&tcp).is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_not_followed() {
        use std::os::unix::{fs::symlink, net::UnixListener};

        let dir = tempfile::tempdir_in("/tmp").expect("a directory");
        let at = |name: &str| unix(dir.path().join(name).to_str().expect("a path"));
        let _listener = UnixListener::bind(dir.path().join("engine.sock")).expect("bound");
        symlink(dir.path().join("engine.sock"), dir.path().join("plugin")).expect("made");
        std::fs::write(dir.path().join("file"), "").expect("written");
        DialWithoutLinks.dial(&at("engine.sock")).await.expect("a socket");
        for name in ["plugin", "file"] {
            let error = DialWithoutLinks.dial(&at(name)).await.map(drop).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
        let error = DialWithoutLinks.dial(&at("nothing")).await.map(drop).expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
