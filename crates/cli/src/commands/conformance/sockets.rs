//! Where a plugin listens, and what it leaves there.

use std::{fs, path::Path};

use rpcplugin::{Endpoint, handshake::variable};

use super::check::{
    Announced, Check, GRACE, Served, Verdict, announced, check, fail, greet, served_plain, skip,
};
use crate::{
    os,
    raw_host::{PluginUnderTest, shown_line, shut_down},
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "socket-private",
        Must,
        private,
        "Only the plugin's own user can connect to its socket, unless a group was asked for.",
        "Create the socket with an ordinary umask (no write permission for others), or in a directory of mode 0700.",
    ),
    check!(
        "socket-directory",
        Should,
        directory,
        "PLUGIN_UNIX_SOCKET_DIR names the directory for all of the plugin's sockets (go-plugin 1.5 and later): containers \
         share it with their host.",
        "Create the socket below that directory when the variable is set, or build with a library that does.",
    ),
    check!(
        "socket-group",
        Should,
        group,
        "PLUGIN_UNIX_SOCKET_GROUP names the group, by name or number, that may connect (go-plugin 1.5 and later): the socket \
         belongs to it and has mode 0660.",
        "Change the socket's group and mode when the variable is set.",
    ),
    check!(
        "socket-gone",
        Should,
        gone,
        "After a shutdown nothing is left in the temporary directory.",
        "Remove the socket, and the directory made for it, when the server stops.",
    ),
    check!(
        "socket-long-path",
        Info,
        long_path,
        "The path of a Unix socket has room for about 100 bytes. A plugin made with go-plugin that is given a longer temporary \
         directory says so on stderr and ends with status 0.",
        "Fall back to a short directory, or say what is wrong and exit with a status other than 0.",
    ),
    check!(
        "tcp-loopback",
        Must,
        tcp_loopback,
        "A plugin that listens on TCP does so on the machine itself only.",
        "Bind to 127.0.0.1 instead of every address.",
    ),
    check!(
        "tcp-ports",
        Should,
        tcp_ports,
        "A plugin that listens on TCP takes a port from PLUGIN_MIN_PORT to PLUGIN_MAX_PORT.",
        "Try the ports of that range in order, and take the first that is free.",
    ),
];

async fn private(subject: &PluginUnderTest) -> Verdict {
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    // A directory that anybody may enter, as the system's own is: what protects the socket has to be the plugin's doing.
    os::set_mode(tmp.path(), 0o755)?;
    let served = served(greet(subject.start().spawn_in(tmp)?, subject.start_timeout).await?);
    let socket = served.socket()?;
    let mode = mode(socket)?;
    let directory = socket.parent().map(self::mode).transpose()?.unwrap_or_default();
    let seen = format!("the socket has mode {mode:03o}, its directory {directory:03o}");
    // Connecting takes permission to write to the socket, and to pass through its directory.
    if mode & 0o002 != 0 && directory & 0o001 != 0 {
        fail(format!("{seen}: anybody can connect"))
    } else {
        Ok(seen)
    }
}

async fn directory(subject: &PluginUnderTest) -> Verdict {
    let dir = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    let start = subject.start().set(variable::UNIX_SOCKET_DIR, dir.path());
    let served = served(announced(start).await?);
    let socket = served.socket()?;
    if socket.starts_with(dir.path()) {
        Ok("the socket is there".to_owned())
    } else {
        fail(format!("it listens on {} instead", socket.display()))
    }
}

async fn group(subject: &PluginUnderTest) -> Verdict {
    let own = os::own_group();
    let start = subject.start().set(variable::UNIX_SOCKET_GROUP, own.to_string());
    let served = served(announced(start).await?);
    let socket = served.socket()?;
    let (mode, group) = (mode(socket)?, os::Ownership::of(&fs::metadata(socket)?).gid);
    let seen = format!("group {group}, mode {mode:03o}");
    if group == own && mode == 0o660 {
        Ok(seen)
    } else {
        fail(format!("{seen} instead of group {own}, mode 660"))
    }
}

async fn gone(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    served.still_serves("its start").await?;
    let _ = shut_down(served.channel().await?).await;
    if served.process.ended(GRACE).await.is_none() {
        return skip("the plugin does not end when it is asked to: see shutdown");
    }
    if let Ok(socket) = served.socket()
        && socket.exists()
    {
        return fail(format!("{} is left", socket.display()));
    }
    let mut left = Vec::new();
    for entry in fs::read_dir(served.process.tmp())? {
        left.push(entry?.file_name().to_string_lossy().into_owned());
    }
    if left.is_empty() {
        Ok("nothing is left".to_owned())
    } else {
        fail(format!("{} is left in its temporary directory", left.join(", ")))
    }
}

async fn long_path(subject: &PluginUnderTest) -> Verdict {
    served(announced(subject.start()).await?).socket()?;
    let tmp = tempfile::Builder::new().prefix(&format!("rpcplugin-{}", "x".repeat(120))).tempdir()?;
    let mut process = subject.start().spawn_in(tmp)?;
    Ok(match process.first_line(subject.start_timeout).await {
        Ok(line) => {
            format!("it listens all the same: {}", shown_line(&String::from_utf8_lossy(&line)))
        }
        Err(error) => error.to_string(),
    })
}

async fn tcp_loopback(subject: &PluginUnderTest) -> Verdict {
    let served = served(announced(subject.start()).await?);
    let Endpoint::Tcp(address) = &served.answer.endpoint else {
        return skip("the plugin listens on a Unix socket");
    };
    let loopback = address.host() == "localhost"
        || address.host().parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback { Ok(address.host().to_owned()) } else { fail(format!("it announces {}", address.host())) }
}

async fn tcp_ports(subject: &PluginUnderTest) -> Verdict {
    // Another range than any default.
    let (min, max) = (41_000, 41_999);
    let start =
        subject.start().set(variable::MIN_PORT, min.to_string()).set(variable::MAX_PORT, max.to_string());
    let served = served(announced(start).await?);
    let Endpoint::Tcp(address) = &served.answer.endpoint else {
        return skip("the plugin listens on a Unix socket");
    };
    let seen = format!("port {} of {min} to {max}", address.port());
    if (min..=max).contains(&address.port()) { Ok(seen) } else { fail(seen) }
}

/// A plugin that is not connected to: only where it listens is looked at.
fn served(announced: Announced) -> Served {
    let Announced { process, answer, .. } = announced;
    Served { process, answer, security: rpcplugin::transport::Security::Plain }
}

fn mode(path: &Path) -> Verdict<u32> {
    Ok(os::mode(&fs::metadata(path)?) & 0o777)
}
