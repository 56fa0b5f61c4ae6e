//! Why the program ends, as an exit code: 0 ok, 1 an error, 2 wrong usage (clap), 3 settings, 4 something is down.

use std::fmt;
use std::process::ExitCode;

use crate::config::SettingsError;

/// Something the program needs does not answer.
#[derive(Debug)]
pub(crate) struct Down(pub(crate) String);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Down {}

/// The exit code for an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = if error.downcast_ref::<SettingsError>().is_some() {
        3
    } else if error.downcast_ref::<Down>().is_some() {
        4
    } else {
        1
    };
    ExitCode::from(code)
}
