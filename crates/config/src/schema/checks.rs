//! Checks of values, and of settings that depend on each other.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    error::{ConfigError, Fault, FaultKind, Origin},
    side::Side,
    value::{ByteSize, Text},
};

/// Checks the values of a struct of settings.
pub(crate) trait Check {
    fn check(&self, checks: &mut Checks);
}

/// Collects the faults that checks find.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) found: Vec<Contradiction>,
    /// The name of the group that is being checked, with a dot.
    prefix: String,
}

/// A fault of a value, or of several settings together.
pub(crate) struct Contradiction {
    /// The settings that contradict each other. Error reports point at the first. Never empty.
    pub(crate) settings: Vec<String>,
    pub(crate) kind: FaultKind,
}

impl Contradiction {
    pub(crate) fn new(settings: &[&str], kind: FaultKind) -> Self {
        Self { settings: settings.iter().map(|setting| (*setting).to_owned()).collect(), kind }
    }
}

impl Checks {
    /// Checks a group of settings.
    pub(crate) fn group(&mut self, name: &str, group: &impl Check) {
        let outer = std::mem::replace(&mut self.prefix, format!("{name}."));
        group.check(self);
        self.prefix = outer;
    }

    pub(crate) fn add(&mut self, settings: &[&str], kind: FaultKind) {
        let settings = settings.iter().map(|setting| self.name(setting)).collect();
        self.found.push(Contradiction { settings, kind });
    }

    /// The full name of a setting.
    pub(crate) fn name(&self, setting: &str) -> String {
        format!("{}{setting}", self.prefix)
    }

    pub(crate) fn within<T: Text + PartialOrd + Copy>(
        &mut self,
        setting: &str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let allowed = format!("from {} to {}", range.start().to_text(), range.end().to_text());
            let fault =
                FaultKind::OutOfRange { setting: self.name(setting), given: value.to_text(), allowed };
            self.add(&[setting], fault);
        }
    }

    pub(crate) fn order(
        &mut self,
        (less, less_value): (&str, Duration),
        (more, more_value): (&str, Duration),
    ) {
        if less_value > more_value {
            let fault = FaultKind::WrongOrder {
                less: self.name(less),
                less_value,
                more: self.name(more),
                more_value,
            };
            self.add(&[less, more], fault);
        }
    }

    pub(crate) fn not_empty<T: Text>(&mut self, setting: &str, list: &[T]) {
        if list.is_empty() {
            let fault = FaultKind::NotAllowed {
                setting: self.name(setting),
                given: "empty".to_owned(),
                allowed: T::ALLOWED.to_owned(),
            };
            self.add(&[setting], fault);
        }
    }

    pub(crate) fn message_limits(&mut self, receive: Option<ByteSize>, send: Option<ByteSize>) {
        for (name, limit) in [("max_receive_message_size", receive), ("max_send_message_size", send)] {
            if let Some(limit) = limit {
                self.within(name, limit, ByteSize::bytes(1)..=ByteSize::bytes(u64::MAX));
            }
        }
    }
}

/// Checks a configuration that was made in code.
pub(crate) fn check_made_in_code(config: &impl Check, side: Side) -> Result<(), ConfigError> {
    let mut checks = Checks::default();
    config.check(&mut checks);
    let faults = checks.found.into_iter().map(|found| Fault::new(found.kind, Origin::Code)).collect();
    ConfigError::from_faults(side, faults)
}
