//! The negotiation of the version of the application's protocol.

use rpcplugin_core::{AppVersion, Versions};

/// The version that a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The version to serve and to print in the handshake line.
    pub version: AppVersion,
    /// Whether the host offered the version. A host that offered other versions refuses the handshake line and reports why. A host
    /// that offered no versions predates negotiation and expects the oldest version.
    pub offered: bool,
}

/// The plugin serves a version that this host did not offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the plugin serves version {plugin} of the protocol, and this host supports {host}")]
#[diagnostic(
    code(rpcplugin::protocol::version_not_offered),
    help("{}", if *plugin < host.oldest() { "update the plugin: its version is older than every version of this host" }
              else { "update the host, or install a plugin that serves one of its versions" })
)]
pub struct VersionNotOffered {
    /// The version in the handshake line.
    pub plugin: AppVersion,
    /// The versions that the host offered.
    pub host: Versions,
}

/// Chooses the newest version that both sides support. Without such a version, chooses the oldest that the plugin serves.
///
/// # Protocol
/// go-plugin `server.go` `protocolVersion`: the plugin prints a handshake line in any case, and the host refuses it.
#[must_use]
pub fn negotiate(offered: Option<&Versions>, served: &Versions) -> Negotiated {
    let common = offered.and_then(|offered| served.iter().find(|version| offered.contains(*version)));
    Negotiated { version: common.unwrap_or_else(|| served.oldest()), offered: common.is_some() }
}

/// Accepts the version of a handshake line if the host offered it.
///
/// # Errors
/// [`VersionNotOffered`] with the versions of both sides.
pub fn accept_version(printed: AppVersion, offered: &Versions) -> Result<AppVersion, VersionNotOffered> {
    if offered.contains(printed) {
        Ok(printed)
    } else {
        Err(VersionNotOffered { plugin: printed, host: offered.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offered: &[u32], served: &[u32], version: u32, agreed: bool) {
        let offered = Versions::new(offered.iter().copied()).ok();
        let served = Versions::new(served.iter().copied()).expect("served");
        assert_eq!(
            negotiate(offered.as_ref(), &served),
            Negotiated { version: AppVersion(version), offered: agreed }
        );
    }

    #[test]
    fn the_newest_common_version_is_chosen_or_else_the_oldest_served() {
        check(&[2, 3, 1], &[1, 2, 3], 3, true);
        check(&[1, 2], &[2, 3], 2, true);
        check(&[5, 6], &[6], 6, true);
        check(&[7], &[1, 2], 1, false);
        check(&[], &[4, 5], 4, false);
        check(&[0, 8], &[0, 3], 0, true);
    }
}
