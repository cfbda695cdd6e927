//! A provider that Terraform did not start: `TF_REATTACH_PROVIDERS`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rpcplugin::MagicCookie;
use rpcplugin::sandbox::Sandbox;
use serde_json::{Value as Json, json};

use super::leftovers::MARKER;
use super::workdir::{ADDRESS, Outcome, Workdir};

/// A running provider.
struct Attached {
    child: Child,
    /// Kept open: a plugin whose stdout has no reader counts its host as dead.
    stdout: BufReader<ChildStdout>,
    line: String,
}

/// A plugin of protocol 6, started with the variables of a host.
pub(crate) fn protocol_6(place: &Workdir) -> Outcome {
    by_hand(place, 6)
}

/// A plugin of protocol 5, started with the variables of a host.
pub(crate) fn protocol_5(place: &Workdir) -> Outcome {
    by_hand(place, 5)
}

/// A plugin in test mode, which prints how to attach.
pub(crate) fn test_mode(place: &Workdir) -> Outcome {
    let mut command = Command::new(place.provider());
    command.arg("-debug");
    let attached = Attached::start(place, command)?;
    let (variable, value) = attached.line.trim().split_once('=').ok_or("no assignment was printed")?;
    let config: Json = serde_json::from_str(value.trim_matches('\''))?;
    if variable != "TF_REATTACH_PROVIDERS" || config[ADDRESS]["Pid"] != attached.child.id() {
        return Err(format!("{:?} is not a valid assignment", attached.line).into());
    }
    attached.serve(place, config.to_string())
}

/// A confined plugin that the program `rpcplugin` runs: it may write into its store, and read the variables that it needs.
pub(crate) fn confined(place: &Workdir) -> Outcome {
    let program = Path::new(env!("CARGO_BIN_EXE_terraform-provider-demo")).with_file_name("rpcplugin");
    if !Sandbox::new().check().is_full() {
        return Ok(());
    }
    if !program.exists() {
        return super::workdir::missing(&program);
    }
    let mut command = Command::new(program);
    command.args([
        "run",
        "--no-mtls",
        "--name",
        ADDRESS,
        "--sandbox",
        "--allow-env",
        "DEMO_STORE",
        "--allow-env",
        MARKER,
    ]);
    command.arg("--allow-write").arg(place.path("store")).arg(place.provider());
    let mut attached = Attached::start(place, command)?;
    // The first line is for `rpcplugin attach`, and the second for Terraform.
    attached.line.clear();
    attached.stdout.read_line(&mut attached.line)?;
    let (variable, value) = attached.line.trim().split_once('=').ok_or("no assignment was printed")?;
    if variable != "TF_REATTACH_PROVIDERS" {
        return Err(format!("{:?} is not the assignment", attached.line).into());
    }
    let config = value.trim_matches('\'').to_owned();
    // The provider runs in the sandbox of the kernel, and not only with its options.
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&config)?))?;
    for held in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        if !status.contains(held) {
            return Err(format!("{held:?} is missing in {status}").into());
        }
    }
    attached.serve(place, config)
}

/// The pid in the value of `TF_REATTACH_PROVIDERS`.
fn pid(config: &str) -> Outcome<u64> {
    let config: Json = serde_json::from_str(config)?;
    Ok(config[ADDRESS]["Pid"].as_u64().ok_or("there is no pid")?)
}

fn by_hand(place: &Workdir, version: u32) -> Outcome {
    let mut command = Command::new(place.provider());
    let cookie = MagicCookie::terraform();
    command.env(cookie.key(), cookie.value()).env("PLUGIN_PROTOCOL_VERSIONS", version.to_string());
    let attached = Attached::start(place, command)?;
    let fields: Vec<&str> = attached.line.trim().split('|').collect();
    let ["1", served, network, address, "grpc", ..] = fields.as_slice() else {
        return Err(format!("{:?} is not a handshake line", attached.line).into());
    };
    if *served != version.to_string() {
        return Err(format!("version {served} is served, not {version}").into());
    }
    let config = json!({ ADDRESS: {
        "Protocol": "grpc",
        "ProtocolVersion": version,
        "Pid": attached.child.id(),
        "Test": true,
        "Addr": { "Network": network, "String": address },
    } });
    attached.serve(place, config.to_string())
}

impl Attached {
    /// Starts a provider, and reads its first line.
    fn start(place: &Workdir, mut command: Command) -> Outcome<Self> {
        place.surround(&mut command);
        let stderr = std::fs::File::create(place.path("attached.stderr"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("stdout is piped")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        Ok(Self { child, stdout, line })
    }

    /// Runs several commands of Terraform with the provider, and ends the provider.
    fn serve(mut self, place: &Workdir, config: String) -> Outcome {
        place.set("TF_REATTACH_PROVIDERS", config);
        place.configure(
            r#"
provider "demo" {
  prefix = "attached"
}
resource "demo_thing" "a" {
  name = "one"
}
data "demo_stdio" "s" {
  stdout = demo_thing.a.greeting
}
output "add" {
  value = provider::demo::add(1, 2)
}
"#,
        )?;
        for line in ["validate", "apply -auto-approve", "plan -detailed-exitcode", "destroy -auto-approve"] {
            let log = place.succeeds(line)?.log;
            if log.processes() != 0 {
                return Err(format!("terraform {line}: started another provider").into());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("terraform {line}: the provider ended with {status}").into());
            }
            if line.starts_with("apply") && place.output("add")? != 3 {
                return Err("the function has a wrong result".into());
            }
        }
        if !place.stored()?.is_empty() {
            return Err("the store is not empty".into());
        }
        self.end()
    }

    /// Ends the provider with SIGTERM, as a service manager does.
    fn end(&mut self) -> Outcome {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the provider ended with {status}").into()),
                None if Instant::now() > deadline => return Err("the provider does not exit".into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// A failed scenario leaves no process.
impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The longest that a provider may take to exit.
const LIMIT: Duration = Duration::from_secs(2);
