//! Why the program ends, as an exit code: 0 ok, 1 an error, 2 wrong usage (clap), 3 settings, 4 something is down; and 141
//! where nobody reads what is printed (`out`).

use std::fmt;
use std::process::ExitCode;

use crate::config::SettingsError;

/// Something the program needs does not answer.
#[derive(Debug)]
pub(crate) struct Down(pub(crate) String);

/// What was given on the command line cannot be used: a file that is not there.
#[derive(Debug)]
pub(crate) struct Misused(pub(crate) String);

/// What was given is not valid: settings, or a file that is read like them.
#[derive(Debug)]
pub(crate) struct Unfit(pub(crate) String);

macro_rules! says_itself {
    ($($error:ident),*) => { $(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::error::Error for $error {}
    )* };
}
says_itself!(Down, Misused, Unfit);

/// The exit code for an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = if error.downcast_ref::<Misused>().is_some() {
        2
    } else if error.downcast_ref::<SettingsError>().is_some() || error.downcast_ref::<Unfit>().is_some() {
        3
    } else if error.downcast_ref::<Down>().is_some() {
        4
    } else {
        1
    };
    ExitCode::from(code)
}
