//! Categories of errors.

use std::fmt;

use miette::Diagnostic;

use super::causes::innermost_fault;

/// The category of an error: the second part of its code, such as `transport` in `rpcplugin::transport::cannot_connect`.
///
/// ```
/// # use rpcplugin_core::{ErrorCategory, MagicCookie};
/// assert_eq!(ErrorCategory::of(&MagicCookie::new("KEY", "").unwrap_err()), ErrorCategory::Config);
/// assert_eq!(ErrorCategory::of_code("rpcplugin::security::mtls_refused"), ErrorCategory::Security);
/// assert_eq!(ErrorCategory::of_code("other::library::code"), ErrorCategory::Base);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// No other category.
    Base,
    /// Settings of a user or a program.
    Config,
    /// The launch of a plugin up to its handshake line.
    Handshake,
    /// Instances of a plugin.
    Instance,
    /// Calls between host and plugin.
    Protocol,
    /// Processes, sockets and connections.
    Transport,
    /// Certificates, keys and TLS.
    Security,
    /// Plugins in containers.
    Docker,
    /// Plugins in Kubernetes pods.
    Kube,
}

impl ErrorCategory {
    /// Every category.
    pub const ALL: &'static [Self] = &[
        Self::Base,
        Self::Config,
        Self::Handshake,
        Self::Instance,
        Self::Protocol,
        Self::Transport,
        Self::Security,
        Self::Docker,
        Self::Kube,
    ];

    /// The category of an error, by the innermost_fault cause with a code.
    #[must_use]
    pub fn of(diagnostic: &dyn Diagnostic) -> Self {
        innermost_fault(diagnostic, &|diagnostic| diagnostic.code().map(|code| code.to_string()))
            .map_or(Self::Base, |code| Self::of_code(&code))
    }

    /// The category that a code names. A code of another project belongs to [`Base`](Self::Base).
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        let name =
            code.strip_prefix("rpcplugin::").and_then(|rest| rest.split("::").next()).unwrap_or_default();
        Self::ALL.iter().copied().find(|category| category.name() == name).unwrap_or(Self::Base)
    }

    /// The category's name in a code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Config => "config",
            Self::Handshake => "handshake",
            Self::Instance => "instance",
            Self::Protocol => "protocol",
            Self::Transport => "transport",
            Self::Security => "security",
            Self::Docker => "docker",
            Self::Kube => "kube",
        }
    }
}

impl fmt::Display for ErrorCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_the_second_part_of_a_code() {
        for &category in ErrorCategory::ALL {
            assert_eq!(ErrorCategory::of_code(&format!("rpcplugin::{category}::fault")), category);
        }
        assert_eq!(ErrorCategory::of_code("rpcplugin::kube::fault"), ErrorCategory::Kube);
        for other in ["other::kube::fault", "rpcplugin::other::fault", "kube", ""] {
            assert_eq!(ErrorCategory::of_code(other), ErrorCategory::Base, "{other}");
        }
    }
}
