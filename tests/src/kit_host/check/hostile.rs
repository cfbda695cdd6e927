//! Programs that are not plugins, or that are broken plugins. The shell and this process play them, so that these checks
//! do not depend on the plugin under test.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::kit_host::{
    check::{
        lifecycle::expect_launch_error,
        run::{Check, alone},
        verdict::Verdict,
    },
    launching::Launching,
};

pub(crate) const CHECKS: &[Check] = &[
    alone!("hostile-silent", silent),
    alone!("hostile-exits", exits),
    alone!("hostile-half-a-line", half_a_line),
    alone!("hostile-banner", banner),
    alone!("hostile-binary", binary),
    alone!("hostile-endless-line", endless_line),
    alone!("hostile-closes-stdout", closes_stdout),
    alone!("hostile-other-handshake", other_handshake),
    alone!("hostile-other-version", other_version),
    alone!("hostile-net-rpc", net_rpc),
    alone!("hostile-ignores-mtls", ignores_mtls),
    alone!("hostile-unexpected-certificate", unexpected_certificate),
    alone!("hostile-bad-certificate", bad_certificate),
    alone!("hostile-no-mux", no_mux),
    alone!("hostile-no-listener", no_listener),
    alone!("hostile-accepts-in-silence", accepts_in_silence),
    alone!("hostile-talks-nonsense", talks_nonsense),
    alone!("hostile-hangs-up", hangs_up),
    alone!("hostile-leaves-a-child", leaves_a_child),
    alone!("hostile-floods-stderr", floods_stderr),
    alone!("not-executable", not_executable),
    alone!("not-a-program", not_a_program),
];

async fn silent() -> Verdict {
    refused("exec sleep 60", "rpcplugin::handshake::timeout").await
}

async fn exits() -> Verdict {
    refused("echo 'no luck today' >&2; exit 3", "rpcplugin::handshake::exited_early").await
}

async fn half_a_line() -> Verdict {
    let codes = ["rpcplugin::handshake::exited_early", "rpcplugin::handshake::not_a_handshake_line"];
    expect_launch_error(&shell("printf '1|3'"), &codes).await
}

async fn banner() -> Verdict {
    let script = "echo 'Welcome to the plugin!'; exec sleep 60";
    let mut launching = shell(script);
    launching.launch_timeout = Duration::from_secs(20);
    expect_launch_error(&launching, NO_LINE).await
}

async fn binary() -> Verdict {
    let launching = shell(r"printf '\000\377\376|\033[31m|||\n'; exec sleep 60");
    expect_launch_error(&launching, NO_LINE).await
}

async fn endless_line() -> Verdict {
    refused("exec tr '\\0' x < /dev/zero", "rpcplugin::handshake::line_too_long").await
}

async fn closes_stdout() -> Verdict {
    refused("exec >&-; exec sleep 60", "rpcplugin::handshake::stdout_closed").await
}

async fn other_handshake() -> Verdict {
    expect_launch_error(&prints("2|3|tcp|127.0.0.1:1|grpc"), &["rpcplugin::handshake::core_version"]).await
}

async fn other_version() -> Verdict {
    expect_launch_error(&prints("1|4|tcp|127.0.0.1:1|grpc"), &["rpcplugin::protocol::version_not_offered"])
        .await
}

async fn net_rpc() -> Verdict {
    expect_launch_error(&prints("1|3|tcp|127.0.0.1:1|netrpc"), &["rpcplugin::protocol::net_rpc"]).await
}

async fn ignores_mtls() -> Verdict {
    let mut launching = prints("1|3|tcp|127.0.0.1:1|grpc");
    launching.auto_mtls = true;
    expect_launch_error(&launching, &["rpcplugin::security::plugin_ignored_mtls"]).await
}

async fn unexpected_certificate() -> Verdict {
    let launching = prints(&format!("1|3|tcp|127.0.0.1:1|grpc|{NO_CERTIFICATE}"));
    expect_launch_error(&launching, &["rpcplugin::security::unexpected_certificate"]).await
}

async fn bad_certificate() -> Verdict {
    let mut launching = prints(&format!("1|3|tcp|127.0.0.1:1|grpc|{NO_CERTIFICATE}"));
    launching.auto_mtls = true;
    expect_launch_error(&launching, &["rpcplugin::security::peer_not_x509"]).await
}

async fn no_mux() -> Verdict {
    let mut launching = prints("1|3|tcp|127.0.0.1:1|grpc");
    launching.mux = true;
    expect_launch_error(&launching, &["rpcplugin::protocol::no_multiplexing"]).await
}

async fn no_listener() -> Verdict {
    let dir = tempfile::tempdir()?;
    let line = format!("1|3|unix|{}|grpc", dir.path().join("nothing").display());
    let codes = ["rpcplugin::transport::cannot_connect", "rpcplugin::transport::unreachable"];
    expect_launch_error(&prints(&line), &codes).await
}

async fn accepts_in_silence() -> Verdict {
    // Long enough to dial, shorter than the timeout of the HTTP/2 handshake.
    let late = ["rpcplugin::transport::not_ready", "rpcplugin::transport::peer_timeout"];
    listens(&late, async |stream| {
        let _held = stream;
        std::future::pending().await
    })
    .await
}

async fn talks_nonsense() -> Verdict {
    listens(CUT, async |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-nonsense\r\n").await;
    })
    .await
}

async fn hangs_up() -> Verdict {
    listens(CUT, async |stream| drop(stream)).await
}

/// The pipes stay open in a child that the host does not know.
async fn leaves_a_child() -> Verdict {
    refused("sleep 20 & exit 3", "rpcplugin::handshake::exited_early").await
}

async fn floods_stderr() -> Verdict {
    let script = "head -c 20000000 /dev/zero >&2; head -c 1000000 /dev/zero | tr '\\0' '\\n' >&2; exit 3";
    let mut launching = shell(script);
    launching.launch_timeout = Duration::from_secs(30);
    expect_launch_error(&launching, &["rpcplugin::handshake::exited_early"]).await
}

async fn not_executable() -> Verdict {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("plugin");
    fs::write(&program, "#!/bin/sh\n")?;
    let launching = Launching::new(vec![program.display().to_string()]);
    expect_launch_error(&launching, &["rpcplugin::transport::plugin_not_executable"]).await
}

async fn not_a_program() -> Verdict {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("plugin");
    fs::write(&program, [0x7f, b'E', b'L', b'F', 0, 0, 0, 0])?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let launching = Launching::new(vec![program.display().to_string()]);
    expect_launch_error(&launching, &["rpcplugin::transport::not_a_program"]).await
}

async fn refused(script: &str, code: &str) -> Verdict {
    expect_launch_error(&shell(script), &[code]).await
}

/// A script instead of a plugin, without TLS and with a short timeout.
fn shell(script: &str) -> Launching {
    let mut launching = Launching::new(["sh", "-c", script].map(str::to_owned).to_vec());
    launching.auto_mtls = false;
    launching.launch_timeout = Duration::from_secs(2);
    launching
}

/// A plugin that prints this line and then does nothing.
fn prints(line: &str) -> Launching {
    let mut launching = shell(&format!("echo '{line}'; exec sleep 60"));
    launching.launch_timeout = Duration::from_secs(10);
    launching
}

/// A plugin that handles every connection with this function.
async fn listens(codes: &[&str], with: impl AsyncFn(TcpStream)) -> Verdict {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut launching = shell(&format!("echo '1|3|tcp|{}|grpc'; exec sleep 60", listener.local_addr()?));
    launching.launch_timeout = Duration::from_secs(3);
    let accepting = async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                with(stream).await;
            }
        }
    };
    tokio::select! {
        verdict = expect_launch_error(&launching, codes) => verdict,
        never = accepting => never,
    }
}

/// The code for a line that is not a handshake line.
const NO_LINE: &[&str] = &["rpcplugin::handshake::not_a_handshake_line"];

/// Base64 of a text that is as long as a certificate.
const NO_CERTIFICATE: &str = "VGhpcyBpcyBub3QgYSBjZXJ0aWZpY2F0ZSwgYnV0IGl0IGlzIGxvbmcgZW5vdWdoIGZvciBvbmU";

/// The codes for a connection that is closed before it is usable.
const CUT: &[&str] = &[
    "rpcplugin::transport::not_http2",
    "rpcplugin::transport::health_check_failed",
    "rpcplugin::security::host_refused",
];
