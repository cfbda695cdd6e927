//! Settings from a file, from the environment and from the program, and where each of them came from.
//!
//! ```text
//! PLUGIN_STOP_GRACE_PERIOD=3s cargo run --example settings
//! ```
//!
//! What the program sets counts most, then the environment, then the file, then the defaults. All faults are told at once,
//! each with its place.
#![expect(clippy::print_stdout, reason = "a program for people to look at")]

use miette::Result;
use rpcplugin::{
    PlainReport,
    config::{Format, HostConfig, Loader, Origin},
};

/// An application reads a file of its own: `Loader::file`.
const FILE: &str = include_str!("settings/host.toml");

/// A file with settings of the application's own.
const SHARED: &str = include_str!("settings/app.toml");

fn main() -> Result<()> {
    let loader = Loader::new().text("host.toml", FILE, Format::Toml).process_env().set("multiplex", true);
    let loaded = loader.load::<HostConfig>()?;
    for setting in loaded.effective.iter().filter(|setting| setting.origin != Origin::Default) {
        println!("{} = {} ({})", setting.setting.name, setting.value, setting.origin);
    }
    // `Host::config(loaded.config)` uses it.

    let shared = Loader::new().text("app.toml", SHARED, Format::Toml).table("plugins").host()?;
    println!("app.toml gives plugins {} s to end", shared.grace.as_secs());

    let faulty = Loader::new().text("host.toml", "grace = 'soon'\ncolour = 'red'\n", Format::Toml);
    if let Err(error) = faulty.host() {
        println!("{}", PlainReport(&error));
    }
    Ok(())
}
