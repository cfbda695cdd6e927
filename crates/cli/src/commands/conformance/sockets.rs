//! The plugin's socket: who can connect, where it is, and what is left of it.

use std::{fs, path::Path};

use rpcplugin::{
    Endpoint,
    handshake::variable,
    sandbox::{Prepared, Sandbox},
};

use super::check::{
    Check, GRACE, PrintedLine, Served, Verdict, check, fail, is_child_process, printed_line, read_line,
    served_plain, skip,
};
use crate::{
    os::{self, Access},
    raw_host::{PluginUnderTest, shown_line, shut_down},
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "socket-private",
        Must,
        private,
        "Only the plugin's user can connect to its socket, unless the host requested a group.",
        "Create the socket without write permission for others (umask 022), or in a directory with mode 0700.",
    ),
    check!(
        "socket-directory",
        Should,
        directory,
        "The plugin creates its sockets in the directory PLUGIN_UNIX_SOCKET_DIR (go-plugin 1.5 and later): containers share this \
         directory with their host.",
        "Create the socket in that directory if the variable is set, or update the plugin's library.",
    ),
    check!(
        "socket-group",
        Should,
        group,
        "With PLUGIN_UNIX_SOCKET_GROUP, a group name or number, the socket has this group and mode 0660 (go-plugin 1.5 and \
         later).",
        "Set the socket's group and mode if the variable is set.",
    ),
    check!(
        "socket-gone",
        Should,
        gone,
        "After a shutdown the temporary directory is empty.",
        "Remove the socket and its directory when the server stops.",
    ),
    check!(
        "socket-long-path",
        Info,
        long_path,
        "The path of a Unix socket has at most about 100 bytes. If the temporary directory is longer, a plugin made with go-plugin \
         reports this on stderr and exits with status 0.",
        "Use a shorter directory, or report the error and exit with a status other than 0.",
    ),
    check!(
        "tcp-loopback",
        Must,
        tcp_loopback,
        "A plugin that listens on TCP binds to a loopback address.",
        "Bind to 127.0.0.1 instead of all addresses.",
    ),
    check!(
        "tcp-ports",
        Should,
        tcp_ports,
        "A plugin that listens on TCP uses a port from PLUGIN_MIN_PORT to PLUGIN_MAX_PORT.",
        "Try the ports of the range in order, and use the first free port.",
    ),
];

async fn private(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    // Every user may enter this directory, as the system's temporary directory. The plugin itself must protect the socket.
    os::set_mode(tmp.path(), 0o755)?;
    let served = served(read_line(plugin.start().spawn_in(tmp).await?, plugin.start_timeout).await?);
    let socket = served.socket()?;
    let mode = mode(socket)?;
    let directory = socket.parent().map(self::mode).transpose()?.unwrap_or_default();
    let seen = format!("the socket has mode {mode:03o}, its directory {directory:03o}");
    // A client needs write permission on the socket and search permission on its directory.
    if mode & 0o002 != 0 && directory & 0o001 != 0 {
        fail(format!("{seen}: every user can connect"))
    } else {
        Ok(seen)
    }
}

async fn directory(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    let dir = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    let start = plugin.start().set(variable::UNIX_SOCKET_DIR, dir.path());
    let served = served(printed_line(start).await?);
    let socket = served.socket()?;
    if socket.starts_with(dir.path()) {
        Ok("the socket is in the directory".to_owned())
    } else {
        fail(format!("the plugin listens on {}", socket.display()))
    }
}

async fn group(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    let may_change =
        |sandbox: &Sandbox| sandbox.capabilities().iter().any(|line| line == "system_calls file_metadata");
    if !plugin.sandbox().is_none_or(may_change) {
        return skip(
            "the sandbox refuses changes of a file's group: allow them with --allow-calls file_metadata",
        );
    }
    let Some(own) = os::own_group() else { return skip("this system has no groups of files") };
    let start = plugin.start().set(variable::UNIX_SOCKET_GROUP, own.to_string());
    let served = served(printed_line(start).await?);
    let socket = served.socket()?;
    let Access { mode, gid: group, .. } = access(socket)?;
    let mode = mode & 0o777;
    let seen = format!("group {group}, mode {mode:03o}");
    if group == own && mode == 0o660 {
        Ok(seen)
    } else {
        fail(format!("{seen} instead of group {own}, mode 660"))
    }
}

async fn gone(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    let served = served_plain(plugin).await?;
    served.still_serves("its start").await?;
    let _ = shut_down(served.channel().await?).await;
    if served.process.exit_within(GRACE).await.is_none() {
        return skip("the plugin does not exit after Shutdown: see shutdown");
    }
    if let Ok(socket) = served.socket()
        && socket.exists()
    {
        return fail(format!("{} is left", socket.display()));
    }
    let mut left = Vec::new();
    let mut dirs = vec![served.process.tmp().to_owned()];
    // A sandbox has the temporary files of the plugin in a directory of its own there.
    let private = plugin.sandbox().map(|_| Prepared::temporary_dir(served.process.tmp()));
    dirs.extend(private.clone().filter(|dir| dir.is_dir()));
    for dir in dirs {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if private.as_deref() != Some(&entry.path()) {
                left.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    if left.is_empty() {
        Ok("the temporary directory is empty".to_owned())
    } else {
        fail(format!("{} is left in the temporary directory", left.join(", ")))
    }
}

async fn long_path(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    served(printed_line(plugin.start()).await?).socket()?;
    let tmp = tempfile::Builder::new().prefix(&format!("rpcplugin-{}", "x".repeat(120))).tempdir()?;
    let mut process = plugin.start().spawn_in(tmp).await?;
    Ok(match process.first_line(plugin.start_timeout).await {
        Ok(line) => {
            format!("the plugin listens: {}", shown_line(&String::from_utf8_lossy(&line)))
        }
        Err(error) => error.to_string(),
    })
}

async fn tcp_loopback(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    let served = served(printed_line(plugin.start()).await?);
    let Endpoint::Tcp(address) = served.address.endpoint() else {
        return skip("the plugin listens on a Unix socket");
    };
    let loopback = address.host() == "localhost"
        || address.host().parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback {
        Ok(address.host().to_owned())
    } else {
        fail(format!("the plugin listens on {}", address.host()))
    }
}

async fn tcp_ports(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    // A range that is not the default of a library.
    let (min, max) = (41_000, 41_999);
    let start =
        plugin.start().set(variable::MIN_PORT, min.to_string()).set(variable::MAX_PORT, max.to_string());
    let served = served(printed_line(start).await?);
    let Endpoint::Tcp(address) = served.address.endpoint() else {
        return skip("the plugin listens on a Unix socket");
    };
    let seen = format!("port {} of {min} to {max}", address.port());
    if (min..=max).contains(&address.port()) { Ok(seen) } else { fail(seen) }
}

/// Returns the plugin for checks that do not connect to it.
fn served(printed: PrintedLine) -> Served {
    let PrintedLine { process, address, .. } = printed;
    Served { process, address, security: rpcplugin::transport::Security::Plain }
}

fn mode(path: &Path) -> Verdict<u32> {
    Ok(access(path)?.mode & 0o777)
}

fn access(path: &Path) -> Verdict<Access> {
    match Access::of(&fs::metadata(path)?) {
        Some(access) => Ok(access),
        None => skip("this system has no permission bits"),
    }
}
