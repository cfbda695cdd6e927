//! The framework for tables of settings. The tables themselves are in `tables`.

mod checks;
mod group;
mod setting;
mod table;

pub use setting::Setting;
pub(crate) use {
    checks::{Check, Checks, Contradiction, check_made_in_code},
    group::{Group, Joint, OptionalGroup, ReadSettings, RenderedSetting, SWITCH, default_value},
    setting::{Row, Table},
    table::table,
};
