//! The address of an engine.

use std::{
    env,
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{error::DockerError, os};

/// The address of an engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// Host and port, without encryption.
    Tcp(String),
}

/// A stream to an engine.
pub(crate) trait EngineStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> EngineStream for S {}

impl Address {
    /// The address that is set, or that of DOCKER_HOST, or the first of the usual sockets that exists.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment; tests use `find_by`"
    )]
    pub(crate) fn find(set: Option<&str>) -> Result<Self, DockerError> {
        Self::find_by(set, |name| env::var_os(name), Path::exists)
    }

    fn find_by(
        set: Option<&str>,
        variable: impl Fn(&str) -> Option<OsString>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Self, DockerError> {
        let from_environment = || variable("DOCKER_HOST").filter(|host| !host.is_empty());
        let set = set.map(str::to_owned).or_else(|| Some(from_environment()?.to_string_lossy().into_owned()));
        if let Some(set) = set {
            return Self::parse(&set).ok_or(DockerError::InvalidAddress { address: set });
        }
        let own = variable("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("podman/podman.sock"));
        let usual = [Some("/var/run/docker.sock".into()), own, Some("/run/podman/podman.sock".into())];
        let usual: Vec<PathBuf> = usual.into_iter().flatten().collect();
        match usual.iter().find(|path| exists(path)) {
            Some(path) => Ok(Self::Unix(path.clone())),
            None => Err(DockerError::NoEngine {
                tried: usual.iter().map(|path| path.display().to_string()).collect(),
            }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.starts_with('/').then_some(text)) {
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        let host = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://"))?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let (name, port) = host.rsplit_once(':')?;
        (!name.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok())
            .then(|| Self::Tcp(host.to_owned()))
    }

    /// Opens a stream to the engine.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn EngineStream>> {
        Ok(match self {
            Self::Unix(path) => Box::new(os::connect(path).await?),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // A failure makes requests slower only.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(set: Option<&str>, docker_host: &str, existing: &str) -> Result<String, DockerError> {
        let variable = |name: &str| match name {
            "DOCKER_HOST" => Some(docker_host.into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            _ => None,
        };
        Address::find_by(set, variable, |path| path == Path::new(existing)).map(|address| address.to_string())
    }

    #[test]
    fn what_is_set_comes_before_the_environment_and_the_usual_sockets() {
        let socket = "/run/podman/podman.sock";
        assert_eq!(find(Some("unix:///a"), "unix:///b", socket).expect("set"), "unix:///a");
        assert_eq!(find(None, "tcp://localhost:2375", socket).expect("set"), "tcp://localhost:2375");
        assert_eq!(find(None, "/b", socket).expect("set"), "unix:///b");
        assert_eq!(find(None, "", socket).expect("it exists"), "unix:///run/podman/podman.sock");
        let own = "/run/user/7/podman/podman.sock";
        assert_eq!(find(None, "", own).expect("it exists"), format!("unix://{own}"));
        let error = find(None, "", "/nowhere").expect_err("none");
        assert!(matches!(error, DockerError::NoEngine { .. }), "{error}");
        assert!(error.to_string().contains("/var/run/docker.sock"), "{error}");
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for address in
            ["ssh://host", "npipe:////./pipe/docker_engine", "unix://relative", "tcp://host", "tcp://:1", "x"]
        {
            let error = find(Some(address), "", "").expect_err(address);
            assert!(matches!(error, DockerError::InvalidAddress { .. }), "{error}");
        }
    }
}
