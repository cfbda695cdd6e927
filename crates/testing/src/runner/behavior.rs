//! The plugin program of the conformance.

use std::{env, io::Write as _, process::ExitCode, thread, time::Duration};

use rpcplugin_config::Loader;
use rpcplugin_core::MagicCookie;
use rpcplugin_server::{Instances, Serve};
use rpcplugin_transport::Services;

/// A behavior of the plugin program that a [`RunnerConformance`](crate::RunnerConformance) starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginBehavior {
    /// Prints lines on stderr, serves, and shuts down when it is asked to.
    Serves,
    /// As [`Serves`](Self::Serves), and exits with status 7 in a call.
    Exits,
    /// As [`Serves`](Self::Serves), and does not end when it is asked to: neither by a call nor by SIGTERM.
    Stays,
    /// Prints a reason on stderr and exits with status 3, without a handshake line.
    ExitsEarly,
    /// Prints nothing and runs on.
    Silent,
    /// There is no such program: the runner starts a program, an image or a file that does not exist.
    Missing,
}

impl PluginBehavior {
    /// All behaviors.
    pub const ALL: [Self; 6] =
        [Self::Serves, Self::Exits, Self::Stays, Self::ExitsEarly, Self::Silent, Self::Missing];

    /// The name of the behavior, which is the first argument of the program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Exits => "exits",
            Self::Stays => "stays",
            Self::ExitsEarly => "exits-early",
            Self::Silent => "silent",
            Self::Missing => "missing",
        }
    }

    /// The whole `main` of the plugin program. The first argument names the behavior. The settings of a plugin are read from the
    /// environment, so that a runner may set the transport or the address.
    pub fn main() -> ExitCode {
        let name = env::args().nth(1).unwrap_or_default();
        match Self::ALL.into_iter().find(|behavior| behavior.as_str() == name) {
            Some(behavior) => behavior.run(),
            None => {
                let names = Self::ALL.map(Self::as_str).join(", ");
                print(&format!("the first argument has to name a behavior: {names}"));
                ExitCode::from(2)
            }
        }
    }

    /// The plugin of a behavior that serves, for runners without a program, such as [`InProcess`](crate::InProcess). `None` for the
    /// other behaviors, and for [`Exits`](Self::Exits), which would end the process of the test.
    #[must_use]
    pub fn plugin(self) -> Option<Serve> {
        matches!(self, Self::Serves | Self::Stays).then(|| self.serve(|serve| serve))
    }

    fn run(self) -> ExitCode {
        match self {
            Self::Serves | Self::Exits | Self::Stays => {
                (0..LINES).for_each(|number| print(&format!("{LINE}{number}")));
                self.serve(|serve| serve.load_config(&Loader::new().process_env())).main()
            }
            Self::ExitsEarly => {
                print(REASON);
                ExitCode::from(EARLY_STATUS)
            }
            Self::Silent => loop {
                thread::sleep(LONG);
            },
            Self::Missing => {
                print("the runner started a program that it was to miss");
                ExitCode::from(2)
            }
        }
    }

    fn serve(self, configured: impl FnOnce(Serve) -> Serve) -> Serve {
        let instances = Instances::new(move |spec| async move {
            if self == Self::Exits && spec.id.as_ref() == EXIT {
                exit();
            }
            tracing::info!("{MADE}");
            Ok(())
        });
        let serve = Serve::new(cookie()).version_with(1, |_| Services::new()).instances(&instances);
        let serve = configured(serve);
        if self == Self::Stays {
            serve.configure(|config| config.grace = LONG).on_shutdown(std::future::pending())
        } else {
            serve
        }
    }
}

/// The cookie of the plugin program.
pub(super) fn cookie() -> MagicCookie {
    MagicCookie::new("RUNNER_CONFORMANCE", "b5c2-runner").expect("a key and a value")
}

fn print(line: &str) {
    // A host that has given up does not read.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[expect(clippy::disallowed_methods, reason = "the exit is what is asked for")]
fn exit() -> ! {
    std::process::exit(EXIT_STATUS)
}

/// The beginning of each line that the plugin prints on stderr before its handshake line.
pub(super) const LINE: &str = "a line of the runner conformance: ";

/// The number of these lines.
pub(super) const LINES: usize = 100;

/// The record that the plugin logs for each instance.
pub(super) const MADE: &str = "the runner conformance made an instance";

/// The instance whose creation ends the process.
pub(super) const EXIT: &str = "exit";

/// The status of this exit.
pub(super) const EXIT_STATUS: i32 = 7;

/// The line on stderr of a plugin that exits without a handshake line.
pub(super) const REASON: &str = "error: the runner conformance asked for an early exit";

/// The status of this exit.
pub(super) const EARLY_STATUS: u8 = 3;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);
