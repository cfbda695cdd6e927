//! Which version of the application's protocol is spoken.

use rpcplugin_core::{AppVersion, Versions};

/// What a plugin decides to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The version to serve and to announce.
    pub version: AppVersion,
    /// Whether the host offered it. A host that offered others will refuse the answer, and say why better than a
    /// plugin could; a host that offered none predates negotiation and expects the oldest version.
    pub offered: bool,
}

/// The plugin speaks a version that this host did not offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the plugin speaks version {plugin} of the protocol, and this host speaks {host}")]
#[diagnostic(
    code(rpcplugin::protocol::version_not_offered),
    help("{}", if *plugin < host.oldest() { "update the plugin: it is older than every version this host speaks" }
              else { "update the host, or install a plugin that serves one of its versions" })
)]
pub struct VersionNotOffered {
    /// What the plugin answered with.
    pub plugin: AppVersion,
    /// What the host offered.
    pub host: Versions,
}

/// Chooses the newest version that both sides speak; without one, the oldest that is served.
///
/// # Protocol
/// go-plugin `server.go` `protocolVersion`: an answer is given in any case, and it is the host that refuses it.
#[must_use]
pub fn negotiate(offered: Option<&Versions>, served: &Versions) -> Negotiated {
    let common = offered.and_then(|offered| served.iter().find(|version| offered.contains(*version)));
    Negotiated { version: common.unwrap_or_else(|| served.oldest()), offered: common.is_some() }
}

/// Accepts the version of an answer if it was offered.
///
/// # Errors
/// [`VersionNotOffered`] with both sides' versions.
pub fn accept_version(answered: AppVersion, offered: &Versions) -> Result<AppVersion, VersionNotOffered> {
    if offered.contains(answered) {
        Ok(answered)
    } else {
        Err(VersionNotOffered { plugin: answered, host: offered.clone() })
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
    fn newest_common_version_else_oldest_served() {
        check(&[2, 3, 1], &[1, 2, 3], 3, true);
        check(&[1, 2], &[2, 3], 2, true);
        check(&[5, 6], &[6], 6, true);
        check(&[7], &[1, 2], 1, false);
        check(&[], &[4, 5], 4, false);
        check(&[0, 8], &[0, 3], 0, true);
    }
}
