//! The reports that `main` prints.

use std::fmt;

use miette::{Diagnostic, InstallError, ReportHandler};

use super::plain::PlainReport;

/// Makes miette print each report as [`PlainReport`] does. Call it first in a `main` that returns `miette::Result`: the program
/// then needs no feature of miette. Programs that prefer colours and frames use miette's feature `fancy` in place of this function.
///
/// # Errors
/// `InstallError` if the program has set another hook, or has made a report before.
pub fn plain_reports() -> Result<(), InstallError> {
    miette::set_hook(Box::new(|_| Box::new(Plain)))
}

struct Plain;

impl ReportHandler for Plain {
    fn debug(&self, error: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PlainReport(error), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_main_has_help_and_code() {
        plain_reports().expect("no other test makes a report");
        let report = miette::miette!(code = "test::fault", help = "correct the path", "the path is wrong");
        assert_eq!(format!("{report:?}"), "the path is wrong\n  help: correct the path\n  code: test::fault");
        plain_reports().expect_err("one hook is set");
    }
}
