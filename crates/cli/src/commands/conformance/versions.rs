//! Which version of the application's protocol is spoken.

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
        "Of the versions in PLUGIN_PROTOCOL_VERSIONS the plugin answers with the highest that it serves, in whatever order \
         they come: Go hosts send them in any.",
        "Read the whole list, and choose by number and not by place.",
    ),
    check!(
        "version-alone",
        Must,
        alone,
        "A version that is offered alone and is served is the one that is spoken.",
        "Negotiate from what the host offers, not from what the plugin likes best.",
    ),
    check!(
        "version-no-overlap",
        Must,
        no_overlap,
        "A plugin that serves none of the versions offered never claims one of them: it answers with one of its own (go-plugin: \
         the oldest) and the host explains, or it ends with a message.",
        "Answer with the oldest version that the plugin serves.",
    ),
    check!(
        "version-answered-anyway",
        Should,
        answered_anyway,
        "Without a common version the plugin answers all the same, with its oldest: the host can then name both sides' \
         versions.",
        "Print the line with the oldest version instead of ending.",
    ),
    check!(
        "version-not-sent",
        Should,
        not_sent,
        "A host that sends no PLUGIN_PROTOCOL_VERSIONS predates negotiation: it gets the oldest version.",
        "Take a missing or empty variable for an empty list.",
    ),
    check!(
        "version-unreadable",
        Should,
        unreadable,
        "What is no number in the list is passed over.",
        "Skip entries that cannot be parsed, and go on with the rest.",
    ),
];

async fn list(subject: &PluginUnderTest) -> Verdict {
    let mut ascending: Vec<AppVersion> = subject.versions.iter().collect();
    ascending.reverse();
    let down = answer_to(subject, &subject.versions.to_string()).await?;
    let up = answer_to(subject, &joined(&ascending, ",")).await?;
    if !subject.versions.contains(up.version) && !subject.versions.contains(down.version) {
        return none_served(subject, up);
    }
    if up != down {
        return fail(format!("{up} when the list goes up, {down} when it goes down"));
    }
    // Whatever lies above the answer is not served, or the answer was not the highest.
    for higher in ascending.into_iter().filter(|version| *version > up.version).take(ALONE) {
        if answer_to(subject, &higher.to_string()).await.is_ok_and(|answer| answer.version == higher) {
            return fail(format!("{up} was chosen although {higher} is served and offered"));
        }
    }
    Ok(format!("{up} out of {}", subject.versions))
}

async fn alone(subject: &PluginUnderTest) -> Verdict {
    let newest = answer_to(subject, &subject.versions.to_string()).await?;
    if !subject.versions.contains(newest.version) {
        return none_served(subject, newest);
    }
    let oldest = answer_to(subject, NEVER).await.ok();
    let mut candidates: Vec<AppVersion> = subject.versions.iter().collect();
    if candidates.len() > ALONE {
        // It was not said which there are.
        candidates = [Some(newest), oldest].into_iter().flatten().map(|answer| answer.version).collect();
        candidates.dedup();
    }
    let (mut served, mut not_served) = (Vec::new(), Vec::new());
    for version in candidates {
        match answer_to(subject, &version.to_string()).await {
            Ok(answer) if answer.version == version => served.push(answer),
            // With what it answers when there is nothing in common.
            Ok(answer) if Some(answer) == oldest => not_served.push(version),
            Ok(answer) => return fail(format!("{version} was offered alone, and it answers with {answer}")),
            Err(_) => not_served.push(version),
        }
    }
    match (served.is_empty(), not_served.is_empty()) {
        (true, _) => {
            fail(format!("{newest} is the answer to {}, and not to {newest} alone", subject.versions))
        }
        (false, true) => Ok(format!("{} served", joined(&served, ", "))),
        (false, false) => Ok(format!("{} served; {} not", joined(&served, ", "), joined(&not_served, ", "))),
    }
}

async fn no_overlap(subject: &PluginUnderTest) -> Verdict {
    let mut process = subject.start().versions(NEVER).spawn()?;
    let (seen, limit) = match process.first_line(subject.start_timeout).await {
        Ok(line) => {
            let line = String::from_utf8_lossy(&line);
            match Spoken::read(&line) {
                Ok(Spoken { version, .. }) if version.to_string() == NEVER => {
                    return fail(format!(
                        "it claims to serve version {NEVER}, which no plugin serves: it repeats what is offered"
                    ));
                }
                Ok(answer) => return Ok(format!("it answers with {answer}")),
                Err(fault) => (format!("{fault}: {:?}", shown_line(&line)), ENDING),
            }
        }
        Err(late @ NoLine::Late { .. }) => (late.to_string(), Duration::ZERO),
        Err(error) => (error.to_string(), ENDING),
    };
    match process.ended(limit).await {
        Some(reason) if !reason.is_success() => {
            process.all_printed().await;
            Ok(format!("it ends with {reason}{}", quoted(&process.stderr(), "stderr")))
        }
        Some(reason) => fail(format!("it ends with {reason} and without an answer")),
        None => fail(format!("it neither answers nor ends: {seen}")),
    }
}

async fn answered_anyway(subject: &PluginUnderTest) -> Verdict {
    let answer = answer_to(subject, NEVER).await?;
    Ok(format!("it answers with {answer}"))
}

async fn not_sent(subject: &PluginUnderTest) -> Verdict {
    let answer = spoken(subject.start().unset(variable::PROTOCOL_VERSIONS)).await?;
    Ok(format!("it answers with {answer}"))
}

async fn unreadable(subject: &PluginUnderTest) -> Verdict {
    let wanted = answer_to(subject, &subject.versions.to_string()).await?;
    if !subject.versions.contains(wanted.version) {
        return none_served(subject, wanted);
    }
    let list = format!("x,{}", wanted.version);
    let answer = answer_to(subject, &list).await?;
    let seen = format!("`{list}` gives {answer}");
    if answer == wanted { Ok(seen) } else { fail(seen) }
}

/// What a plugin answers with, by gRPC or not: go-plugin chooses the protocol by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spoken {
    version: AppVersion,
    by_net_rpc: bool,
}

impl Spoken {
    fn read(line: &str) -> Result<Self, HandshakeLineFault> {
        match HandshakeLine::parse(line).map_err(|error| error.fault) {
            Ok(answer) => Ok(Self { version: answer.version, by_net_rpc: false }),
            Err(HandshakeLineFault::NetRpc) => {
                let version = line.split('|').nth(1).and_then(|version| version.trim().parse().ok());
                version
                    .map(|version| Self { version: AppVersion(version), by_net_rpc: true })
                    .ok_or(HandshakeLineFault::Version)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.by_net_rpc { " by net/rpc" } else { "" };
        write!(f, "{}{how}", self.version)
    }
}

async fn spoken(start: Start<'_>) -> Verdict<Spoken> {
    let timeout = start.start_timeout();
    let (_process, line) = line_of(start.spawn()?, timeout).await?;
    Spoken::read(&line).or_else(|fault| fail(format!("{fault}: {:?}", shown_line(&line))))
}

async fn answer_to(subject: &PluginUnderTest, list: &str) -> Verdict<Spoken> {
    spoken(subject.start().versions(list)).await
}

fn none_served(subject: &PluginUnderTest, answer: Spoken) -> Verdict {
    skip(format!(
        "none of {} is served, it answers with {answer}: offer its versions with --versions",
        subject.versions
    ))
}

fn joined(versions: &[impl ToString], separator: &str) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// How long a plugin that printed no answer is waited for.
const ENDING: Duration = Duration::from_secs(5);

/// A version that no plugin serves.
const NEVER: &str = "2147483000";

/// As many versions as are offered alone: more than these are a guess of this program, not a list of the user's.
const ALONE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_net_rpc_is_a_line() {
        let read = |line: &str| Spoken::read(line).map(|answer| answer.to_string());
        assert_eq!(read("1|3|unix|/p|grpc|\n").unwrap(), "3");
        // As go-plugin prints it now, and before it knew gRPC.
        assert_eq!(read("1|2|unix|/p|netrpc|\n").unwrap(), "2 by net/rpc");
        assert_eq!(read("1|4|tcp|127.0.0.1:1\n").unwrap(), "4 by net/rpc");
        assert_eq!(read("hello\n"), Err(HandshakeLineFault::NotAnAnswer));
        assert_eq!(read("5|0|unix|/p\n"), Err(HandshakeLineFault::Packer));
    }
}
