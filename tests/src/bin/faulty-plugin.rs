//! A plugin that does what it is told to by its first argument: for tests of hosts.

use std::process::ExitCode;

use rpcplugin::{MagicCookie, Serve, Services, ServingStatus};

fn main() -> ExitCode {
    let fault = std::env::args().nth(1).unwrap_or_default();
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    Serve::new(cookie)
        .version_with(1, move |context| {
            match &*fault {
                "unhealthy" => context.health.set("plugin", ServingStatus::NotServing),
                "healthy" => {}
                "stdin" => {
                    // Says on its log what it read from its standard input.
                    std::thread::spawn(|| {
                        let mut line = String::new();
                        let _ = std::io::stdin().read_line(&mut line);
                        eprintln!("read {line:?}");
                    });
                }
                other => eprintln!("there is no fault called {other:?}"),
            }
            Services::new()
        })
        .main()
}
