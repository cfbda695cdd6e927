//! The offer of the lane, which a host makes to the process that it starts.

use std::fmt;

/// A host's offer to use the lane, the protocol of rpcplugin in place of HTTP/2. The host sets it in
/// [`variable::HOST_LANE`](crate::variable::HOST_LANE).
///
/// It counts only for a child process of the host that has made it. A plugin in another language passes its environment on to its
/// own plugins, whose host then does not know the lane.
///
/// # Protocol
/// `VERSION:PID`, in decimal. It is not part of go-plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the form of the variable")]
pub struct LaneOffer {
    /// The version of the lane.
    pub version: u32,
    /// The pid of the host.
    pub host: u32,
}

impl LaneOffer {
    /// Reads the value of the variable. `None` if it is anything else.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (version, host) = value.split_once(':')?;
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some(Self { version: number(version)?, host: number(host)? })
    }

    /// The version that the plugin may announce: that of the offer, if this process is a child of the host.
    #[must_use]
    pub fn version_for_child_of(self, parent: Option<u32>) -> Option<u32> {
        (parent == Some(self.host)).then_some(self.version)
    }
}

impl fmt::Display for LaneOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.version, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_counts_for_the_children_of_its_host_alone() {
        let offer = LaneOffer { version: 1, host: 4711 };
        assert_eq!(LaneOffer::parse(&offer.to_string()), Some(offer));
        assert_eq!(offer.version_for_child_of(Some(4711)), Some(1));
        assert_eq!(offer.version_for_child_of(Some(4712)), None);
        assert_eq!(offer.version_for_child_of(None), None);
        for other in ["", "1", "true", "1:", ":1", "1:x", "-1:1", "+1:1", "1:1:1", "1:99999999999"] {
            assert_eq!(LaneOffer::parse(other), None, "{other}");
        }
    }
}
