//! Settings from a file, from the environment and from the program, with the origin of each.
//!
//! ```text
//! PLUGIN_STOP_GRACE_PERIOD=3s cargo run --example settings
//! ```
//!
//! The program takes precedence over the environment, the environment over the file, and the file over the defaults. All
//! errors are reported at once, each with its position.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use miette::Result;
use rpcplugin::{
    config::{Format, HostConfig, Loader, Origin},
    error::PlainReport,
};

/// The text of a file. An application reads its file with `Loader::file`.
const FILE: &str = include_str!("settings/host.toml");

/// A file that also has settings of the application.
const SHARED: &str = include_str!("settings/app.toml");

fn main() -> Result<()> {
    let loader = Loader::new().text("host.toml", FILE, Format::Toml).process_env().set("multiplex", true);
    let loaded = loader.load::<HostConfig>()?;
    for setting in loaded.effective.iter().filter(|setting| setting.origin != Origin::Default) {
        println!("{} = {} ({})", setting.setting.name, setting.value, setting.origin);
    }
    // `Host::config(loaded.config)` sets the configuration of a host.

    let shared = Loader::new().text("app.toml", SHARED, Format::Toml).table("plugins").host()?;
    println!("app.toml gives plugins {} s to end", shared.grace.as_secs());

    let faulty = Loader::new().text("host.toml", "grace = 'soon'\ncolour = 'red'\n", Format::Toml);
    if let Err(error) = faulty.host() {
        println!("{}", PlainReport(&error));
    }
    Ok(())
}
