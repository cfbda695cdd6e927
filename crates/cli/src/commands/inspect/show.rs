//! The properties of a plugin as a tree.

use std::time::Duration;

use super::{
    facts::{Facts, FeatureFacts, MethodFacts, SecurityFacts, ServiceFacts, TransportFacts},
    unauthorized_clients::UnauthorizedClients,
};
use crate::{
    facts::{CertificateFacts, FileFacts},
    sandbox::show_confinement,
    ui::{
        Tree, duration,
        style::{bad, dim, good, on_one_line, strong, warn},
    },
};

/// Returns the properties as a tree. Fingerprints are shortened unless `full`.
pub(crate) fn show(facts: &Facts, full: bool) -> Tree {
    let mut root = Tree::new(&facts.name);
    root.fact("process", process(facts));
    if let Some(metadata) = &facts.metadata {
        let mut tree = Tree::new("metadata");
        metadata.show(&mut tree);
        root.tree(tree);
    }
    if let Some(fault) = &facts.metadata_fault {
        root.fact("metadata", bad(fault));
    }
    root.fact("protocol", protocol(facts));
    root.fact("transport", transport(&facts.transport));
    root.fact("health", health(facts));
    root.tree(security(&facts.security, full));
    if let Some(sandbox) = &facts.sandbox {
        root.tree(show_confinement(sandbox));
    }
    root.tree(services(facts));
    root.tree(features(&facts.features, facts));
    root.tree(timings(facts));
    if let Some(end) = &facts.end {
        let how = if end.clean { good(&end.how) } else { warn(&end.how) };
        root.fact("end", format!("{how} {}", dim(format_args!("after {}", took(end.took_ms)))));
    }
    root
}

fn process(facts: &Facts) -> String {
    let Some(process) = &facts.process else {
        return warn("unknown: the process that listens at the address cannot be determined");
    };
    let mut text = format!("{} ", process.pid);
    if let Some(executable) = &process.executable {
        text += &executable.display().to_string();
    }
    if let Some(architecture) = process.architecture {
        text += &dim(format_args!(" ({architecture})"));
    }
    if let Some(command) = facts.command.as_ref().filter(|command| !command.args.is_empty()) {
        text += "\n";
        text += &dim(format_args!("started as {} {}", command.program, command.args.join(" ")));
    }
    text
}

fn protocol(facts: &Facts) -> String {
    let mut text = format!("version {}", facts.protocol.app);
    if let Some(command) = &facts.command {
        text += &dim(format_args!(" (offered: {})", ranges(&command.offered_versions)));
    }
    text += &format!(", core protocol {}", facts.protocol.core);
    if let Some(command) = &facts.command {
        text += &format!(", cookie {}", command.cookie_key);
        if let Some(preset) = command.preset {
            text += &dim(format_args!(" (preset {preset})"));
        }
    }
    text
}

fn transport(facts: &TransportFacts) -> String {
    let mut text = match facts.network {
        "unix" => format!("Unix socket {}", facts.address),
        _ => format!("TCP {}", facts.address),
    };
    if let Some(socket) = &facts.socket {
        text += &format!("\n{}", file("socket", socket));
    }
    if let Some(directory) = &facts.directory {
        text += &format!(", {}", file("directory", directory));
    }
    text
}

/// Formats the mode and the owner of a file. The mode is yellow if it grants access to other users.
fn file(what: &str, facts: &FileFacts) -> String {
    let open = !facts.mode.ends_with("00");
    let mode = if open { warn(&facts.mode) } else { good(&facts.mode) };
    let owner = if facts.yours { "yours".to_owned() } else { format!("of user {}", facts.uid) };
    format!("{what} {mode} {owner}")
}

fn health(facts: &Facts) -> String {
    let health = &facts.health;
    let detail = health.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    match health.status.as_str() {
        "SERVING" => good("serving"),
        "NONE" => warn("no health service"),
        "ERROR" => bad(format_args!("no response{detail}")),
        other => bad(format_args!("{other}{detail}")),
    }
}

fn security(facts: &SecurityFacts, full: bool) -> Tree {
    let mut tree = Tree::new("security");
    match facts.trust {
        None => {
            tree.fact(
                "none",
                warn("every process that can reach the address can call the plugin and read its traffic"),
            );
        }
        Some(trust) => {
            let accepted = match trust {
                "pinned" => "only the plugin's certificate",
                _ => "certificates issued by the given roots",
            };
            // TLS is mutual only if both sides ask for a certificate.
            let name = match facts.unauthorized_clients {
                Some(UnauthorizedClients::ServedWithoutCertificate) => "TLS",
                _ => "mutual TLS",
            };
            tree.fact(name, good(format_args!("encrypted; this side accepts {accepted}")));
            tree.fact("clients", unauthorized_clients(facts.unauthorized_clients));
        }
    }
    if let Some(own) = &facts.host_certificate {
        tree.fact("host", certificate(own, full));
    }
    if let Some(other) = &facts.plugin_certificate {
        tree.fact("plugin", certificate(other, full));
    }
    tree
}

/// Describes how the plugin treats unauthorized clients. Nothing else shows which clients the plugin accepts.
fn unauthorized_clients(seen: Option<UnauthorizedClients>) -> String {
    match seen {
        Some(UnauthorizedClients::Refused) => good(
            "the plugin refuses unauthorized clients, without a certificate and with an unknown certificate",
        ),
        Some(UnauthorizedClients::ServedWithAnyCertificate) => bad(
            "the plugin serves clients with any certificate: every process that can reach the address can call it",
        ),
        Some(UnauthorizedClients::ServedWithoutCertificate) => bad(
            "the plugin serves clients without a certificate: every process that can reach the address can call it",
        ),
        None => dim("not tested: the plugin may serve clients without a certificate"),
    }
}

fn certificate(facts: &CertificateFacts, full: bool) -> String {
    let issuer = if facts.self_signed {
        "self-signed".to_owned()
    } else {
        format!("issued by {}", on_one_line(&facts.issuer))
    };
    let validity = format!("{} to {}", day(&facts.not_before), day(&facts.not_after));
    let validity = if facts.in_force { validity } else { bad(format_args!("{validity}: not valid now")) };
    let fingerprint = if full { facts.sha256.clone() } else { cut(&facts.sha256) };
    format!(
        "{}, {}, {issuer}, {validity}\n{}",
        on_one_line(&facts.subject),
        facts.key,
        dim(format_args!("SHA-256 {fingerprint}"))
    )
}

/// Shortens a fingerprint to its two ends.
fn cut(fingerprint: &str) -> String {
    match (fingerprint.get(..END), fingerprint.len().checked_sub(END).and_then(|at| fingerprint.get(at..))) {
        (Some(start), Some(end)) if fingerprint.len() > 2 * END => format!("{start}…{end}"),
        _ => fingerprint.to_owned(),
    }
}

fn day(date: &str) -> &str {
    date.split(' ').next().unwrap_or(date)
}

fn services(facts: &Facts) -> Tree {
    let features = &facts.features;
    let mut tree = match (&features.files, features.reflection) {
        // Without reflection it is unknown which of these services the plugin serves.
        (Some(files), None) => Tree::new(format!("services, as {files} has them")),
        _ => Tree::new("services"),
    };
    match &features.reflection_fault {
        Some(why) if features.reflection.is_none() => {
            tree.line(warn(format_args!(
                "the plugin's reflection fails: {why}; describe its services with --proto FILE"
            )));
        }
        Some(why) => _ = tree.line(warn(format_args!("incomplete: {why}"))),
        None if !facts.services.is_empty() => {}
        None if features.files.is_none() && features.reflection.is_none() => {
            tree.line(warn("unknown: the plugin has no reflection; describe its services with --proto FILE"));
        }
        None => _ = tree.line(warn("only the services of the protocol")),
    }
    for service in &facts.services {
        tree.tree(methods(service, features));
    }
    for one in &facts.left_out {
        tree.line(warn(format_args!("{} is left out: {}", one.file, one.why)));
    }
    tree
}

fn methods(service: &ServiceFacts, features: &FeatureFacts) -> Tree {
    let mut tree = Tree::new(&service.name);
    if let (Some(false), Some(files)) = (service.served, &features.files) {
        tree.line(warn(format_args!("in {files}, but not served by the plugin")));
    }
    if let Some(why) = &service.not_described {
        tree.line(warn(format_args!("not described: {why}; describe its methods with --proto FILE")));
    }
    for method in service.methods.iter().flatten() {
        let mut text = signature(method, &service.name);
        let own = method.not_described.as_ref().filter(|_| service.not_described.is_none());
        if let Some(why) = own.or(method.difference.as_ref()) {
            text += &format!("\n{}", warn(why));
        }
        tree.fact(&method.name, text);
    }
    for method in &service.not_in_files {
        tree.fact(method, warn("served by the plugin, but not in the file"));
    }
    tree
}

fn signature(method: &MethodFacts, service: &str) -> String {
    let package = service.rsplit_once('.').map_or("", |(package, _)| package);
    let short = |name: &str, stream: bool| {
        let name = name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
        if stream { format!("stream {name}") } else { name.to_owned() }
    };
    let input = short(&method.input, method.client_streaming);
    let output = short(&method.output, method.server_streaming);
    format!("{input} {} {output}", dim("→"))
}

fn features(features: &FeatureFacts, facts: &Facts) -> Tree {
    let mut tree = Tree::new("features");
    let known = |known: Option<bool>| match known {
        Some(true) => good("yes"),
        Some(false) => "no".to_owned(),
        None => dim("unknown without reflection"),
    };
    tree.fact(
        "reflection",
        match features.reflection {
            Some(version) => good(version),
            None if features.reflection_fault.is_some() => bad("fails"),
            None => "no".to_owned(),
        },
    );
    tree.fact("broker", known(Some(features.broker)));
    tree.fact("stdio", known(Some(features.stdio)));
    tree.fact("controller", known(features.controller));
    tree.fact(
        "multiplexing",
        match features.multiplexing {
            "yes" => good("yes"),
            "not asked" if facts.command.is_some() => dim("not requested: use --mux"),
            other => other.to_owned(),
        },
    );
    tree
}

fn timings(facts: &Facts) -> Tree {
    let timings = &facts.timings;
    let mut tree = Tree::new("timings");
    let steps = [
        ("process", timings.process_ms),
        ("handshake line", timings.handshake_line_ms),
        ("connection", Some(timings.connection_ms)),
        ("health call", timings.health_ms),
    ];
    for (name, step) in steps.into_iter().filter_map(|(name, step)| Some((name, step?))) {
        tree.fact(name, format!("{:>9}  {}", took(step), bar(step / timings.total_ms)));
    }
    tree.fact("total", strong(format_args!("{:>9}", took(timings.total_ms))));
    tree
}

fn took(ms: f64) -> String {
    duration::show(Duration::from_secs_f64((ms / 1e3).max(0.0)))
}

/// Returns a bar whose length is proportional to a share of the whole.
fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 30")]
    let length = (share.clamp(0.0, 1.0) * 30.0).round() as usize;
    dim("▄".repeat(length.max(1)))
}

/// Formats descending numbers. More than three consecutive numbers are a range: `1 to 32`; others are a list: `6, 5`.
fn ranges(numbers: &[u32]) -> String {
    match numbers {
        [first, .., last]
            if first - last == u32::try_from(numbers.len() - 1).unwrap_or(0) && numbers.len() > 3 =>
        {
            format!("{last} to {first}")
        }
        _ => numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The number of digits that are shown of each end of a fingerprint: together enough to make two equal ones unlikely.
const END: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_shortened_in_the_middle() {
        let whole = format!("{}{}{}", "a".repeat(16), "b".repeat(32), "c".repeat(16));
        assert_eq!(cut(&whole), format!("{}…{}", "a".repeat(16), "c".repeat(16)));
        assert_eq!(cut("abc"), "abc");
    }

    #[test]
    fn consecutive_versions_are_shown_as_a_range() {
        assert_eq!(ranges(&[6, 5]), "6, 5");
        assert_eq!(ranges(&[5, 4, 3, 2, 1]), "1 to 5");
        assert_eq!(ranges(&[9, 4, 3, 2, 1]), "9, 4, 3, 2, 1");
    }
}
