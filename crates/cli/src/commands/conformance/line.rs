//! The handshake line: its form, its fields, and its address.

use rpcplugin::{
    Endpoint,
    handshake::{Multiplexing, variable},
};

use super::check::{Check, PrintedLine, Verdict, check, fail, printed_line, skip};
use crate::{
    os::is_abstract,
    raw_host::{PluginUnderTest, shown_line},
    ui::duration::show,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "line-form",
        Must,
        form,
        "The first line on stdout is the handshake line CORE|APP|NETWORK|ADDRESS|PROTOCOL, with up to two more fields. It ends \
         with a line break and is flushed. The core version is 1, the network unix or tcp, the protocol grpc.",
        "Print nothing on stdout before the line (banners and logs belong on stderr). End it with \\n and flush stdout.",
    ),
    check!(
        "line-fields",
        Should,
        fields,
        "The line has six fields, as in a current go-plugin. Without TLS the sixth field is empty. There are no blanks around the \
         line, because some hosts do not trim them.",
        "End the line with an empty certificate field and a plain line break: `...|grpc|\\n`.",
    ),
    check!(
        "line-no-unasked-certificate",
        Must,
        no_unasked_certificate,
        "Without PLUGIN_CLIENT_CERT the sixth field has no certificate: a Go host without AutoMTLS crashes on a certificate.",
        "Send a certificate only if the host has sent its own.",
    ),
    check!(
        "line-no-unasked-mux",
        Must,
        no_unasked_mux,
        "Without PLUGIN_MULTIPLEX_GRPC there is no seventh field: hosts before go-plugin 1.6 read it as a part of the \
         certificate.",
        "Print the seventh field only if the variable is set.",
    ),
    check!(
        "line-empty-variables",
        Should,
        empty_variables,
        "An empty variable of the handshake counts as not set, as in go-plugin.",
        "Treat PLUGIN_CLIENT_CERT, PLUGIN_MULTIPLEX_GRPC and the other variables as missing if they are empty.",
    ),
    check!(
        "line-listens",
        Must,
        listens,
        "The plugin listens before it prints the line: hosts dial immediately, and only once.",
        "Bind and listen before printing the line.",
    ),
    check!(
        "line-address",
        Should,
        address,
        "The address is an absolute socket path, or host and port. It is valid in every working directory.",
        "Print an absolute path: a host resolves a relative path in its own working directory.",
    ),
    check!(
        "start-time",
        Info,
        start_time,
        "By default a Go host waits one minute for the line.",
        "Do slow work after the handshake.",
    ),
];

async fn form(plugin: &PluginUnderTest) -> Verdict {
    Ok(shown_line(&printed_line(plugin.start()).await?.text))
}

async fn fields(plugin: &PluginUnderTest) -> Verdict {
    let line = printed_line(plugin.start()).await?.text;
    if line.trim() != line.trim_end_matches('\n') {
        return fail(format!("the line has blanks around it, or ends with CR LF: {line:?}"));
    }
    match line.trim().split('|').count() {
        6 => Ok("six fields".to_owned()),
        count => fail(format!("{count} fields: {}", shown_line(&line))),
    }
}

async fn no_unasked_certificate(plugin: &PluginUnderTest) -> Verdict {
    let printed = printed_line(plugin.start()).await?;
    match &printed.line.certificate {
        None => Ok("no certificate".to_owned()),
        Some(der) => fail(format!("an unrequested certificate of {} bytes", der.len())),
    }
}

async fn no_unasked_mux(plugin: &PluginUnderTest) -> Verdict {
    let line = printed_line(plugin.start()).await?.text;
    match line.trim().split('|').nth(6) {
        None => Ok("no seventh field".to_owned()),
        Some(field) => fail(format!("an unrequested seventh field, {field:?}")),
    }
}

async fn empty_variables(plugin: &PluginUnderTest) -> Verdict {
    // Without versions the plugin selects its oldest, see version-not-sent.
    let names = variable::ALL.into_iter().filter(|name| *name != variable::PROTOCOL_VERSIONS);
    let start = names.fold(plugin.start(), |start, name| start.set(name, ""));
    let PrintedLine { line, text, .. } = printed_line(start).await?;
    if line.certificate.is_some() {
        fail("the plugin prints a certificate")
    } else if line.multiplexing != Multiplexing::Unspecified {
        fail("the plugin prints a seventh field")
    } else {
        Ok(shown_line(&text))
    }
}

async fn listens(plugin: &PluginUnderTest) -> Verdict {
    let printed = printed_line(plugin.start()).await?;
    printed.address.dial().await?;
    Ok(format!("{} accepts connections", printed.address))
}

async fn address(plugin: &PluginUnderTest) -> Verdict {
    let printed = printed_line(plugin.start()).await?;
    match &printed.line.endpoint {
        Endpoint::Unix(path) if path.as_path().is_relative() => {
            if is_abstract(&printed.line.endpoint) {
                return skip("an abstract socket has no path");
            }
            fail(format!("relative path {}", path.as_path().display()))
        }
        endpoint => Ok(endpoint.to_string()),
    }
}

async fn start_time(plugin: &PluginUnderTest) -> Verdict {
    let printed = printed_line(plugin.start()).await?;
    Ok(format!("the line came after {}", show(printed.process.started.elapsed())))
}
