//! Configuration. Each fault has a code, and the values that were loaded load as the same values again.

use miette::Diagnostic;
use rpcplugin_config::{
    ConfigError, Configuration, Format, HostConfig, Loaded, Loader, PluginConfig, Setting,
};

use crate::input::{Input, check_error, text};

/// A side and a format, the text of a file, and behind a zero byte the variables, one on each line.
pub(crate) fn configuration(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let form = input.byte();
    let rest = input.rest();
    let mut parts = rest.splitn(2, |byte| *byte == 0);
    let (file, variables) = (text(parts.next().unwrap_or_default()), text(parts.next().unwrap_or_default()));
    if file.contains("file:") || variables.contains("file:") || variables.contains("CONFIG_FILE") {
        // It would read files of this machine.
        return;
    }
    let (name, format) = if form & 2 == 0 { ("a.toml", Format::Toml) } else { ("a.json", Format::Json) };
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let loader = Loader::new().text(name, file, format).env(variables);
    if form & 1 == 0 { check::<HostConfig>(&loader) } else { check::<PluginConfig>(&loader) }
}

fn check<C: Configuration>(loader: &Loader) {
    match loader.load::<C>() {
        Ok(loaded) => check_again(&loaded),
        Err(error) => check_faults(&error),
    }
}

/// Loads the values that were loaded.
fn check_again<C: Configuration>(loaded: &Loaded<C>) {
    let values = |loaded: &Loaded<C>| {
        // Neither secrets nor the cookie, which is its key and a secret.
        let is_shown = |setting: &Setting| !setting.secret && !setting.name.starts_with("magic_cookie");
        let public = loaded.effective.iter().filter(|setting| is_shown(setting.setting));
        public.map(|setting| (setting.setting.name.clone(), setting.value.clone())).collect::<Vec<_>>()
    };
    let before = values(loaded);
    // A secret is not shown, and would be loaded as the text that stands for it.
    if loaded.effective.iter().any(|setting| setting.setting.secret && setting.value == "…") {
        return;
    }
    let set = |loader: Loader, (name, value): &(String, String)| Loader::set(loader, name.as_str(), value);
    match before.iter().fold(Loader::new(), set).load::<C>() {
        Ok(again) => assert_eq!(values(&again), before),
        Err(error) => panic!("{before:?} cannot be loaded again: {error}"),
    }
}

fn check_faults(error: &ConfigError) {
    check_error(error);
    let mut count = 0;
    for fault in error.related().into_iter().flatten() {
        check_error(fault);
        assert!(fault.help().is_some(), "a fault without help: {fault}");
        count += 1;
    }
    assert!(count > 0, "an error without a fault");
}
