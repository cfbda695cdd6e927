//! The programs of these tests, hosts for them, and connections that show whether a process lives.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rpcplugin::{Command, Host, MagicCookie, host::Stdin};
use rpcplugin_tests::support::{conformance, programs};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// The longest that anything may take on a busy machine, also under an emulator.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The program that a variable names.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// The program in Go that a variable names. Without the variable it is the one of `cargo xtask interop` on Windows, where no
/// other test runs it. Elsewhere the test is skipped, which is printed.
#[expect(clippy::print_stdout, reason = "the effect of a switch")]
pub(crate) fn named_peer(variable: &str, name: &str) -> Option<PathBuf> {
    let built = || if cfg!(windows) { programs::peer("go", name) } else { None };
    let program = named(variable).or_else(built);
    if program.is_none() {
        println!("skipped: {variable} is not set");
    }
    program
}

pub(crate) fn kit_plugin() -> PathBuf {
    named("RPCPLUGIN_PORTABLE_PLUGIN").unwrap_or_else(|| programs::program("kit-plugin"))
}

pub(crate) fn quickstart() -> PathBuf {
    named("RPCPLUGIN_PORTABLE_QUICKSTART").unwrap_or_else(|| programs::example("quickstart"))
}

pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    Command::new(program.as_ref()).stdin(Stdin::Null)
}

/// The conformance plugin with this fault.
pub(crate) fn hostile(fault: &str) -> Command {
    command(programs::program("hostile-plugin")).env("HOSTILE", fault)
}

/// A host of the conformance plugins whose launches and shutdowns may take long.
pub(crate) fn host() -> Host {
    unhurried(conformance::host())
}

/// The host of the faulty plugin.
pub(crate) fn faulty_host() -> Host {
    unhurried(Host::new(MagicCookie::new("FAULTY_PLUGIN", "cookie").unwrap(), 1))
}

/// The faulty plugin with this fault.
pub(crate) fn faulty(fault: &str) -> Command {
    command(programs::program("faulty-plugin")).arg(fault)
}

fn unhurried(host: Host) -> Host {
    host.configure(|config| {
        config.launch_timeout = TIMEOUT;
        config.grace = TIMEOUT;
        config.shutdown_timeout = TIMEOUT;
    })
}

/// A listener to which processes connect, so that the test sees when they end.
pub(crate) struct Watch {
    listener: TcpListener,
    pub(crate) address: String,
}

/// The connection of a process that keeps it open until it ends.
pub(crate) struct Watched(TcpStream);

impl Watch {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    /// Waits until a process has connected.
    pub(crate) async fn process(&self) -> Watched {
        let accepted = timeout(TIMEOUT, self.listener.accept()).await;
        Watched(accepted.expect("a process connects").unwrap().0)
    }
}

impl Watched {
    /// Whether the process has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.0.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits until the process has ended. Its end closes or resets the connection.
    pub(crate) async fn ends(mut self, what: &str) {
        let read = timeout(TIMEOUT, self.0.read(&mut [0])).await;
        match read.unwrap_or_else(|_| panic!("{what} still runs")) {
            Ok(0) | Err(_) => {}
            Ok(_) => panic!("{what} writes"),
        }
    }
}
