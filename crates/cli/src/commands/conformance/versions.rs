//! The negotiation of the application's protocol version.

use std::{fmt, time::Duration};

use rpcplugin::{
    AppVersion,
    handshake::{HandshakeLine, HandshakeLineFault, variable},
};

use super::check::{Check, Verdict, check, fail, line_of, skip};
use crate::raw_host::{NoLine, PluginUnderTest, Start, quoted, shown_line};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "version-list",
        Must,
        list,
        "The plugin selects the highest version in PLUGIN_PROTOCOL_VERSIONS that it serves. The order of the list does not matter: \
         Go hosts send it in any order.",
        "Read the whole list, and select by number, not by position.",
    ),
    check!(
        "version-alone",
        Must,
        alone,
        "If the host offers a single version and the plugin serves it, the plugin selects it.",
        "Select from the versions that the host offers.",
    ),
    check!(
        "version-no-overlap",
        Must,
        no_overlap,
        "A plugin that serves none of the offered versions does not select one of them. It selects one of its own (go-plugin: the \
         oldest), so that the host can report both, or it exits with a message.",
        "Select the oldest version that the plugin serves.",
    ),
    check!(
        "version-answered-anyway",
        Should,
        answered_anyway,
        "Without a common version the plugin still prints a handshake line, with its oldest version: the host can then report the \
         versions of both.",
        "Print the line with the oldest version instead of exiting.",
    ),
    check!(
        "version-not-sent",
        Should,
        not_sent,
        "A host that sends no PLUGIN_PROTOCOL_VERSIONS is older than the negotiation: the plugin selects its oldest version.",
        "Treat a missing or empty variable as an empty list.",
    ),
    check!(
        "version-unreadable",
        Should,
        unreadable,
        "The plugin ignores entries of the list that are not numbers.",
        "Skip entries that cannot be parsed, and continue with the rest.",
    ),
];

async fn list(plugin: &PluginUnderTest) -> Verdict {
    let mut ascending: Vec<AppVersion> = plugin.versions.iter().collect();
    ascending.reverse();
    let down = select_from(plugin, &plugin.versions.to_string()).await?;
    let up = select_from(plugin, &joined(&ascending, ",")).await?;
    if !plugin.versions.contains(up.version) && !plugin.versions.contains(down.version) {
        return none_served(plugin, up);
    }
    if up != down {
        return fail(format!("{up} for an ascending list, {down} for a descending list"));
    }
    // If the plugin serves a higher version, it did not select the highest.
    for higher in ascending.into_iter().filter(|version| *version > up.version).take(MOST_ALONE) {
        if select_from(plugin, &higher.to_string()).await.is_ok_and(|answer| answer.version == higher) {
            return fail(format!(
                "the plugin selected {up}, although it serves {higher} and the host offered it"
            ));
        }
    }
    Ok(format!("{up} out of {}", plugin.versions))
}

async fn alone(plugin: &PluginUnderTest) -> Verdict {
    let newest = select_from(plugin, &plugin.versions.to_string()).await?;
    if !plugin.versions.contains(newest.version) {
        return none_served(plugin, newest);
    }
    let oldest = select_from(plugin, NEVER).await.ok();
    let mut candidates: Vec<AppVersion> = plugin.versions.iter().collect();
    if candidates.len() > MOST_ALONE {
        // The list is the default of this program, and too long to test each version.
        candidates = [Some(newest), oldest].into_iter().flatten().map(|answer| answer.version).collect();
        candidates.dedup();
    }
    let (mut served, mut not_served) = (Vec::new(), Vec::new());
    for version in candidates {
        match select_from(plugin, &version.to_string()).await {
            Ok(answer) if answer.version == version => served.push(answer),
            // The version that the plugin selects without a common version.
            Ok(answer) if Some(answer) == oldest => not_served.push(version),
            Ok(answer) => {
                return fail(format!("the host offered only {version}, and the plugin selected {answer}"));
            }
            Err(_) => not_served.push(version),
        }
    }
    match (served.is_empty(), not_served.is_empty()) {
        (true, _) => fail(format!(
            "the plugin selects {newest} from {}, but not if {newest} is the only offered version",
            plugin.versions
        )),
        (false, true) => Ok(format!("{} served", joined(&served, ", "))),
        (false, false) => {
            Ok(format!("{} served, {} not served", joined(&served, ", "), joined(&not_served, ", ")))
        }
    }
}

async fn no_overlap(plugin: &PluginUnderTest) -> Verdict {
    let mut process = plugin.start().versions(NEVER).spawn().await?;
    let (seen, limit) = match process.first_line(plugin.start_timeout).await {
        Ok(line) => {
            let line = String::from_utf8_lossy(&line);
            match Selected::read(&line) {
                Ok(Selected { version, .. }) if version.to_string() == NEVER => {
                    return fail(format!(
                        "the plugin selected version {NEVER}, which no plugin serves: it repeats the offered version"
                    ));
                }
                Ok(answer) => return Ok(format!("the plugin selects {answer}")),
                Err(fault) => (format!("{fault}: {:?}", shown_line(&line)), EXIT_TIMEOUT),
            }
        }
        Err(late @ NoLine::Timeout { .. }) => (late.to_string(), Duration::ZERO),
        Err(error) => (error.to_string(), EXIT_TIMEOUT),
    };
    match process.exit_within(limit).await {
        Some(reason) if !reason.is_success() => {
            process.all_printed().await;
            Ok(format!("the plugin ends with {reason}{}", quoted(&process.stderr(), "stderr")))
        }
        Some(reason) => fail(format!("the plugin ends with {reason} and without a handshake line")),
        None => fail(format!("the plugin neither prints a handshake line nor exits: {seen}")),
    }
}

async fn answered_anyway(plugin: &PluginUnderTest) -> Verdict {
    let answer = select_from(plugin, NEVER).await?;
    Ok(format!("the plugin selects {answer}"))
}

async fn not_sent(plugin: &PluginUnderTest) -> Verdict {
    let answer = selected(plugin.start().unset(variable::PROTOCOL_VERSIONS)).await?;
    Ok(format!("the plugin selects {answer}"))
}

async fn unreadable(plugin: &PluginUnderTest) -> Verdict {
    let wanted = select_from(plugin, &plugin.versions.to_string()).await?;
    if !plugin.versions.contains(wanted.version) {
        return none_served(plugin, wanted);
    }
    let list = format!("x,{}", wanted.version);
    let answer = select_from(plugin, &list).await?;
    let seen = format!("the plugin selects {answer} from `{list}`");
    if answer == wanted { Ok(seen) } else { fail(seen) }
}

/// The selected version, and whether it is served over net/rpc: go-plugin selects the protocol by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Selected {
    version: AppVersion,
    over_net_rpc: bool,
}

impl Selected {
    fn read(line: &str) -> Result<Self, HandshakeLineFault> {
        match HandshakeLine::parse(line).map_err(|error| error.fault) {
            Ok(answer) => Ok(Self { version: answer.version, over_net_rpc: false }),
            Err(HandshakeLineFault::NetRpc) => {
                let version = line.split('|').nth(1).and_then(|version| version.trim().parse().ok());
                version
                    .map(|version| Self { version: AppVersion(version), over_net_rpc: true })
                    .ok_or(HandshakeLineFault::Version)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.over_net_rpc { " over net/rpc" } else { "" };
        write!(f, "{}{how}", self.version)
    }
}

async fn selected(start: Start<'_>) -> Verdict<Selected> {
    let timeout = start.start_timeout();
    let (_process, line) = line_of(start.spawn().await?, timeout).await?;
    Selected::read(&line).or_else(|fault| fail(format!("{fault}: {:?}", shown_line(&line))))
}

async fn select_from(plugin: &PluginUnderTest, list: &str) -> Verdict<Selected> {
    selected(plugin.start().versions(list)).await
}

fn none_served(plugin: &PluginUnderTest, answer: Selected) -> Verdict {
    skip(format!(
        "the plugin serves none of {} and selects {answer}: offer its versions with --versions",
        plugin.versions
    ))
}

fn joined(versions: &[impl ToString], separator: &str) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// The limit for a plugin without a handshake line to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A version that no plugin serves.
const NEVER: &str = "2147483000";

/// The maximum number of versions to test alone. A longer list is the default of this program, not a list of the user.
const MOST_ALONE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_line_of_net_rpc_has_a_version() {
        let read = |line: &str| Selected::read(line).map(|answer| answer.to_string());
        assert_eq!(read("1|3|unix|/p|grpc|\n").unwrap(), "3");
        // The current form of go-plugin, and the form before it supported gRPC.
        assert_eq!(read("1|2|unix|/p|netrpc|\n").unwrap(), "2 over net/rpc");
        assert_eq!(read("1|4|tcp|127.0.0.1:1\n").unwrap(), "4 over net/rpc");
        assert_eq!(read("hello\n"), Err(HandshakeLineFault::NotAHandshakeLine));
        assert_eq!(read("5|0|unix|/p\n"), Err(HandshakeLineFault::Packer));
    }
}
