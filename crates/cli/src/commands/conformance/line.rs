//! The handshake line.

use rpcplugin::{Endpoint, transport::dial};

use super::check::{Check, Verdict, announced, check, fail, skip};
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
        "The first bytes on stdout are one line, CORE|APP|NETWORK|ADDRESS|PROTOCOL with up to two fields more, ended by \
         a line break and flushed: core version 1, network unix or tcp, protocol grpc.",
        "Print nothing on stdout before the line (banners and logs belong on stderr), end it with \\n, and flush.",
    ),
    check!(
        "line-fields",
        Should,
        fields,
        "A current go-plugin prints six fields, the last of them empty without TLS, and no blanks around them, which not \
         every host trims.",
        "End the line with an empty certificate field and a plain line break: `...|grpc|\\n`.",
    ),
    check!(
        "line-no-unasked-certificate",
        Must,
        no_unasked_certificate,
        "Without PLUGIN_CLIENT_CERT there is no certificate in the sixth field: a Go host that did not ask crashes.",
        "Send a certificate only when the host has sent its own.",
    ),
    check!(
        "line-no-unasked-mux",
        Must,
        no_unasked_mux,
        "Without PLUGIN_MULTIPLEX_GRPC there is no seventh field: hosts before go-plugin 1.6 take it for a part of the \
         certificate.",
        "Print the seventh field only when the variable is set.",
    ),
    check!(
        "line-listens",
        Must,
        listens,
        "When the line is printed the plugin listens already: hosts dial at once, and once.",
        "Bind and listen before printing the line.",
    ),
    check!(
        "line-address",
        Should,
        address,
        "The address can be dialled from anywhere on the machine: an absolute socket path, or host and port.",
        "Announce an absolute path: a relative one is looked for in the host's directory.",
    ),
    check!(
        "start-time",
        Info,
        start_time,
        "A Go host waits a minute for the line by default.",
        "Move slow work behind the handshake.",
    ),
];

async fn form(subject: &PluginUnderTest) -> Verdict {
    Ok(shown_line(&announced(subject.start()).await?.line))
}

async fn fields(subject: &PluginUnderTest) -> Verdict {
    let line = announced(subject.start()).await?.line;
    if line.trim() != line.trim_end_matches('\n') {
        return fail(format!("there are blanks around it, or it ends as on Windows (CR LF): {line:?}"));
    }
    match line.trim().split('|').count() {
        6 => Ok("six fields".to_owned()),
        count => fail(format!("{count} fields: {}", shown_line(&line))),
    }
}

async fn no_unasked_certificate(subject: &PluginUnderTest) -> Verdict {
    let announced = announced(subject.start()).await?;
    match &announced.answer.certificate {
        None => Ok("no certificate".to_owned()),
        Some(der) => fail(format!("a certificate of {} bytes that nobody asked for", der.len())),
    }
}

async fn no_unasked_mux(subject: &PluginUnderTest) -> Verdict {
    let line = announced(subject.start()).await?.line;
    match line.trim().split('|').nth(6) {
        None => Ok("no seventh field".to_owned()),
        Some(field) => fail(format!("a seventh field, {field:?}, that nobody asked for")),
    }
}

async fn listens(subject: &PluginUnderTest) -> Verdict {
    let announced = announced(subject.start()).await?;
    dial(&announced.answer.endpoint).await?;
    Ok(format!("{} is there at once", announced.answer.endpoint))
}

async fn address(subject: &PluginUnderTest) -> Verdict {
    let announced = announced(subject.start()).await?;
    match &announced.answer.endpoint {
        Endpoint::Unix(path) if path.as_path().is_relative() => {
            if is_abstract(&announced.answer.endpoint) {
                return skip("an abstract socket has no path");
            }
            fail(format!("the path is relative: {}", path.as_path().display()))
        }
        endpoint => Ok(endpoint.to_string()),
    }
}

async fn start_time(subject: &PluginUnderTest) -> Verdict {
    let announced = announced(subject.start()).await?;
    Ok(format!("the line came after {}", show(announced.process.started.elapsed())))
}
