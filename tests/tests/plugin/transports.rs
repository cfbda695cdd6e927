//! Where a plugin listens.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::Path,
};

use rpcplugin::{Endpoint, broker::ServiceId};
use rpcplugin_proto::Channel::Stdout;
use rpcplugin_tests::support::wait::eventually;
use tokio::io::AsyncWriteExt as _;

use crate::subject::{entries, greet, host_broker, read_until, shut_down, stdio, subject};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_fresh_socket_is_private_and_leaves_nothing() {
    let plugin = subject().start();
    let socket = plugin.socket();
    assert_eq!((mode(socket.parent().unwrap()), mode(&socket)), (0o700, 0o600));
    assert!(socket.starts_with(plugin.tmp.path()));
    shut_down(plugin.channel().await).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_given_path_is_used_and_only_a_stale_socket_replaced() {
    let start = subject();
    let path = start.path("given.sock");
    drop(UnixListener::bind(&path).unwrap());
    let plugin = start.env("PLUGIN_SERVER_UNIX_SOCKET_PATH", &path).start();
    assert_eq!(plugin.socket(), path);
    assert_eq!(plugin.run("x").await, "hello x");

    let second = subject().env("PLUGIN_SERVER_UNIX_SOCKET_PATH", &path);
    second.refused().await.printed(&["another process listens on", "given.sock", "help:"]);
    assert_eq!(plugin.run("y").await, "hello y", "the first is unharmed");

    let file = plugin.tmp.path().join("precious");
    fs::write(&file, "data").unwrap();
    let third = subject().env("PLUGIN_SERVER_UNIX_SOCKET_PATH", &file);
    third.refused().await.printed(&["is not a socket", "precious", "help:"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[tokio::test]
async fn the_directory_and_group_of_the_host_are_used() {
    let start = subject();
    let dir = start.path("plugin-dir");
    fs::create_dir(&dir).unwrap();
    let group = fs::metadata(&dir).unwrap().gid();
    let plugin =
        start.env("PLUGIN_UNIX_SOCKET_DIR", &dir).env("PLUGIN_UNIX_SOCKET_GROUP", group.to_string()).start();
    let socket = plugin.socket();
    assert_eq!(socket.parent(), Some(&*dir));
    assert_eq!((mode(&socket), fs::metadata(&socket).unwrap().gid()), (0o660, group));
    // Brokered services have their sockets in the same directory.
    let channel = plugin.channel().await;
    let broker = host_broker(&channel);
    let id = greet(channel.clone(), "serve").await.unwrap().parse().unwrap();
    let brokered = broker.dial(ServiceId(id)).await.unwrap();
    assert_eq!(greet(brokered, "broker").await.unwrap(), "hello broker");
    assert_eq!(entries(&dir).len(), 2);
    shut_down(channel).await.unwrap();
    let mut plugin = plugin;
    assert_eq!(plugin.ended().await.code(), Some(0));
    assert!(entries(&dir).is_empty() && dir.exists(), "the directory belongs to the host");

    let start = subject().env("PLUGIN_UNIX_SOCKET_GROUP", "no such group");
    start.refused().await.printed(&["there is no group", "no such group"]);
}

#[tokio::test]
async fn a_directory_in_which_others_can_replace_a_socket_causes_a_warning() {
    for variable in ["PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_SERVER_UNIX_SOCKET_PATH"] {
        let start = subject();
        let dir = start.path("open");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        let place = if variable.ends_with("PATH") { dir.join("socket") } else { dir };
        let plugin = start.env(variable, place).start();
        assert_eq!(plugin.run("x").await, "hello x");
        eventually("the warning", || {
            plugin.stderr().contains("every user can replace a socket in this directory")
        })
        .await;
    }
}

#[tokio::test]
async fn a_temporary_directory_with_too_long_a_path_is_not_used() {
    let start = subject();
    let long = start.path(&"x".repeat(120));
    fs::create_dir(&long).unwrap();
    let plugin = start.env("TMPDIR", &long).start();
    let socket = plugin.socket();
    assert!(socket.starts_with("/tmp") && !socket.starts_with(&long));
    assert_eq!(plugin.run("x").await, "hello x");
    shut_down(plugin.channel().await).await.unwrap();
    let mut plugin = plugin;
    assert_eq!(plugin.ended().await.code(), Some(0));
    assert!(!socket.parent().unwrap().exists());

    let start = subject();
    let long = start.path(&"x".repeat(120));
    fs::create_dir(&long).unwrap();
    start.env("PLUGIN_UNIX_SOCKET_DIR", &long).refused().await.printed(&["no socket fits into", "help:"]);
}

#[tokio::test]
async fn tcp_takes_the_first_free_port_of_the_hosts_range() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let tcp = || subject().env("PLUGIN_SERVER_TRANSPORTS", "tcp");
    let Endpoint::Tcp(any) = tcp().start().endpoint() else { panic!("no TCP") };
    assert_eq!(any.host(), "127.0.0.1");

    let range = |min: u16, max: u16| {
        tcp().env("PLUGIN_MIN_PORT", min.to_string()).env("PLUGIN_MAX_PORT", max.to_string())
    };
    range(port, port).refused().await.printed(&["no port is free on", &format!("tried {port}"), "help:"]);
    range(9, 8).refused().await.printed(&["PLUGIN_MIN_PORT"]);
    let plugin = range(port, port.saturating_add(50)).start();
    let Endpoint::Tcp(next) = plugin.endpoint() else { panic!("no TCP") };
    assert!(next.port() > port && next.port() <= port.saturating_add(50));
    assert_eq!(plugin.run("x").await, "hello x");
    shut_down(plugin.channel().await).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn tcp_may_have_a_given_host_and_port() {
    let tcp = || subject().env("PLUGIN_SERVER_TRANSPORTS", "tcp");
    let plugin = tcp().env("PLUGIN_SERVER_HOST", "::1").start();
    assert!(plugin.endpoint().address().starts_with("[::1]:"));
    assert_eq!(plugin.run("x").await, "hello x");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plugin = tcp().env("PLUGIN_SERVER_PORT", free.to_string()).env("PLUGIN_MIN_PORT", "1").start();
    assert_eq!(plugin.endpoint().address(), format!("127.0.0.1:{free}"));
}

#[tokio::test]
async fn a_plugin_can_use_a_custom_transport() {
    let start = subject();
    let path = start.path("own.sock");
    let plugin = start.arg("--own-socket").arg(&path).start();
    assert_eq!(plugin.socket(), path);
    let channel = plugin.channel().await;
    assert_eq!(greet(channel.clone(), "x").await.unwrap(), "hello x");
    greet(channel.clone(), "print synced").await.unwrap();
    read_until(&mut stdio(channel.clone()).await, Stdout, "synced").await;
    shut_down(channel).await.unwrap();
    let mut plugin = plugin;
    assert_eq!(plugin.ended().await.code(), Some(0));
    assert!(path.exists(), "the plugin does not remove the socket of a custom transport");

    let start = subject().arg("--own-socket").arg("/does/not/exist/own.sock");
    start.refused().await.printed(&["custom transport cannot listen", "No such file"]);
}

#[tokio::test]
async fn probes_and_garbage_do_no_harm() {
    let plugin = subject().start();
    for _ in 0..20 {
        drop(tokio::net::UnixStream::connect(plugin.socket()).await.unwrap());
    }
    let mut rubbish = tokio::net::UnixStream::connect(plugin.socket()).await.unwrap();
    rubbish.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(plugin.run("x").await, "hello x");
}
